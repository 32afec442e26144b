@fused.udf
def udf(bbox: fused.types.TileGDF, chip_len=64):
    common = fused.load("common")
    utils = fused.load("owner@localhost/common").utils
    assert type(chip_len) in (int, str)
    return common.ramp(int(chip_len)) // 2 + utils.stripes(int(chip_len), int(chip_len)) // 2
