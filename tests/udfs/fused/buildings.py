@fused.udf
def udf(bbox: fused.types.TileGDF, table_path: str, min_zoom: int = 2, columns: list = None):
    import pandas as pd

    chunks = fused.get_chunks_metadata(table_path)
    chunks = chunks[chunks.intersects(bbox.geometry.iloc[0])]
    if not len(chunks) or bbox.z[0] < min_zoom:
        return None

    def part(file_id, chunk_id):
        return fused.get_chunk_from_table(table_path, file_id, chunk_id, columns=columns)

    rows = [part(row.file_id, row.chunk_id) for row in chunks.itertuples()]
    found = pd.concat(rows)
    return found[found.intersects(bbox.geometry.iloc[0])]
