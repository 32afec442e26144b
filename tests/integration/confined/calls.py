from tileserver import run, udf


@udf(cache_max_age=0)
def calls():
    """Another function, whose sandbox is another."""
    return run("reaches", files="[]")["processes"]
