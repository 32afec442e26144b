"""A table, not a map: how far the cities of the world are from a place, and in which direction.

Fetch it from the file address as CSV, Parquet, JSON or a spreadsheet, as
`/files/TOKEN.csv?longitude=13.4&latitude=52.5`.
"""

import numpy as np
import pandas as pd
from pyproj import Geod

from tileserver import udf

CITIES = pd.DataFrame(
    [
        ("Auckland", "NZ", 174.763, -36.848),
        ("Beijing", "CN", 116.407, 39.904),
        ("Buenos Aires", "AR", -58.382, -34.604),
        ("Cairo", "EG", 31.236, 30.044),
        ("Delhi", "IN", 77.209, 28.614),
        ("Honolulu", "US", -157.858, 21.307),
        ("Istanbul", "TR", 28.978, 41.008),
        ("Jakarta", "ID", 106.845, -6.208),
        ("Lagos", "NG", 3.379, 6.524),
        ("Lima", "PE", -77.043, -12.046),
        ("London", "GB", -0.128, 51.507),
        ("Mexico City", "MX", -99.133, 19.433),
        ("Moscow", "RU", 37.617, 55.756),
        ("Nairobi", "KE", 36.817, -1.286),
        ("New York", "US", -74.006, 40.713),
        ("Nuuk", "GL", -51.736, 64.175),
        ("Reykjavík", "IS", -21.942, 64.147),
        ("São Paulo", "BR", -46.633, -23.551),
        ("Singapore", "SG", 103.820, 1.352),
        ("Suva", "FJ", 178.442, -18.141),
        ("Sydney", "AU", 151.209, -33.868),
        ("Tokyo", "JP", 139.692, 35.690),
    ],
    columns=["city", "country", "longitude", "latitude"],
)


@udf(kind="table")
def cities_table(longitude: float = 0.0, latitude: float = 51.4779, within_km: float | None = None) -> pd.DataFrame:
    """Cities from near to far, with the distance and the bearing at the start along the geodesic of WGS 84.

    longitude, latitude: the place, in degrees; Greenwich if nothing is said.
    within_km: leaves out what is farther.
    """
    here = np.full(len(CITIES), longitude), np.full(len(CITIES), latitude)
    there = CITIES["longitude"].to_numpy(), CITIES["latitude"].to_numpy()
    bearing, _, metres = Geod(ellps="WGS84").inv(*here, *there)
    table = CITIES.assign(distance_km=(metres / 1000).round(1), bearing_deg=(bearing % 360).round(1))
    if within_km is not None:
        table = table[table["distance_km"] <= within_km]
    return table.sort_values("distance_km", ignore_index=True)
