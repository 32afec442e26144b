from tileserver import udf
from tileserver.formats import Response


@udf
def ready(media_type: str = "text/html", size: int = 20):
    """A body that the function made by itself."""
    return Response(b"<script>1</script>".ljust(size), media_type)
