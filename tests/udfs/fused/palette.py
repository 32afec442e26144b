@fused.udf(cache_max_age="1h")
def udf(bounds: fused.types.Bounds = [-180, -85, 180, 85], palette="greys", colored: bool = False, gain: float = 1):
    import numpy as np

    assert isinstance(bounds, list) and isinstance(palette, str)
    tone = {"greys": 60, "7": 70}[palette]
    image = np.full((3, 256, 256), tone * gain, "uint8")
    if colored:
        image[1:] = 0
    return image
