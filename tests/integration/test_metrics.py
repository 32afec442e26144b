"""`/metrics`: what Prometheus reads, and what it must not."""

import re

from server import Running


def values(server: Running) -> dict[str, float]:
    with server.client() as client:
        text = client.get("/metrics").text
    return {name: float(value) for name, value in re.findall(r"^(\w+(?:{[^}]*})?) (\S+)$", text, re.MULTILINE)}


def test_answers_and_errors_are_counted(server: Running) -> None:
    """By where they came from, and by code; runs with their time."""
    url = f"/tiles/{server.token('address')}/9/3/3.png?counted=1"
    before = values(server)
    with server.client() as client:
        assert [client.get(url).status_code for _ in range(3)] == [200] * 3
        assert client.get(f"/files/{server.token('typed')}?n=x").status_code == 422
    after = values(server)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert more('tileserver_answers_total{source="run"}') == 1
    assert more('tileserver_answers_total{source="memory"}') + more("tileserver_repeated_total") == 2
    assert more('tileserver_errors_total{code="invalid_parameter"}') == 1
    assert more("tileserver_udf_seconds_count") == 1
    assert after["tileserver_workers"] >= 1
    assert after["tileserver_ready"] == 1
    assert more("tileserver_cache_disk_written_bytes_total") > 0
    assert after["tileserver_cache_memory_bytes"] > after["tileserver_cache_memory_entries"] > 0
    assert after["tileserver_cache_memory_evictions_total"] == after["tileserver_cache_disk_evictions_total"] == 0


def test_nobody_learns_a_name(server: Running) -> None:
    """Neither tokens nor UDFs; and a foreign name of the host is refused as everywhere."""
    with server.client() as client:
        text = client.get("/metrics").text
        assert "fsh_" not in text
        assert "address" not in re.sub(r"virtual_memory|address space", "", text)
        assert client.get("/metrics", headers={"host": "evil.example"}).status_code == 403
