import os
import tempfile

from tileserver import udf


@udf
def projects():
    """Opens files, then lets PROJ open its database, and says whether the files are still what they were."""
    opened = [tempfile.TemporaryFile() for _ in range(20)]  # noqa: SIM115
    before = [os.fstat(each.fileno()).st_ino for each in opened]

    import pyproj
    import rasterio.warp

    there = pyproj.Transformer.from_crs(32631, 3857, always_xy=True).transform(500_000, 5_500_000)
    again = rasterio.warp.transform("EPSG:32631", "EPSG:3857", [500_000], [5_500_000])
    return {
        "kept": before == [os.fstat(each.fileno()).st_ino for each in opened],
        "apart": abs(there[0] - again[0][0]),
    }
