from tileserver import udf


@udf(maxzoom=30)
def injected(tile, bounds, bbox, x, y, z) -> dict:
    """All that a tile route injects."""
    return {
        "tile": [tile.z, tile.x, tile.y],
        "size": tile.size,
        "tile.bounds": tile.bounds,
        "tile.bounds_3857": tile.bounds_3857,
        "bounds": bounds,
        "bbox": bbox.total_bounds,
        "bbox.crs": bbox.crs.to_epsg(),
        "bbox.row": bbox.drop(columns="geometry").to_dict("records"),
        "x": x,
        "y": y,
        "z": z,
    }
