"""Batch jobs (hosted API, section 2.4): started, watched, cancelled, and their results read by the SDK."""

from session import Sdk
from versions import only

RIVERS = """
@fused.udf
def rivers(n: int = 1):
    import pandas as pd
    print("counting", n)
    return pd.DataFrame({"n": [n]})
"""
SLEEPS = """
@fused.udf
def sleeps(n: int = 1):
    import time
    time.sleep(50)
"""
LATER = only("1.14.2", "2.9.5")
START = """
from fused.models.api.job import UdfJobStepConfig
job = api.start_job(UdfJobStepConfig(udf={udf}, name="{udf}", input=[1, 2]))
job.job_id
"""


def started(sdk: Sdk, source: str, udf: str) -> str:
    """The id of a job that calls a function for 1 and for 2."""
    job_id: str = sdk.get(source + START.format(udf=udf))
    return job_id


@LATER
def test_a_job_runs_to_its_end(sdk: Sdk) -> None:
    """It has an id and a state, and at the end results and logs."""
    job_id = started(sdk, RIVERS, "rivers")
    done = sdk.get("api.wait_for_job(job.job_id, poll_interval_seconds=0.2, timeout=40)")
    assert (done["job_id"], done["job_name"], done["terminal_status"]) == (job_id, "rivers", True)
    assert sdk.get("[int(each.data.n[0]) for each in api.get_job_results(job.job_id)]") == [1, 2]
    assert sdk.get("api.get_job_config(job.job_id).steps[0].udf.name") == "rivers"
    logs = sdk.get("api.get_logs(job.job_id)")
    assert any("counting 2" in each["message"] for each in logs)
    assert all(isinstance(each["timestamp"], int) for each in logs)


@only("2.9.5")
def test_the_newest_waits_by_itself(sdk: Sdk) -> None:
    """`fused.run` on an instance gives data, or raises what the logs say."""
    assert sdk.get(f"{RIVERS}int(fused.run(rivers, n=3, instance_type='small').n[0])") == 3
    failing = RIVERS.replace("return", "raise ValueError('no such sea')\n    return")
    assert "failed" in sdk.raised(f"{failing}fused.run(rivers, n=4, instance_type='small')").text


@LATER
def test_jobs_are_listed(sdk: Sdk) -> None:
    """The newest first."""
    job_id = started(sdk, RIVERS, "rivers")
    assert job_id in str(sdk.get("[str(each) for each in api.get_jobs(n=5).jobs]"))


@LATER
def test_a_job_is_cancelled(sdk: Sdk) -> None:
    """It ends soon, and says so."""
    started(sdk, SLEEPS, "sleeps")
    sdk.get("api.cancel_job(job.job_id)")
    assert sdk.get("api.wait_for_job(job.job_id, poll_interval_seconds=0.2, timeout=20)")["terminal_status"] is True


@LATER
def test_a_job_that_nobody_has(sdk: Sdk) -> None:
    """Not found."""
    assert "HTTPError" in sdk.raised("api.get_status('00000000-0000-0000-0000-000000000000')").bases


@only("1.8.0")
def test_the_oldest_starts_one_by_its_engine(sdk: Sdk) -> None:
    """It gives the job, of which state, logs and results are read as ever."""
    job = sdk.get(
        f"{RIVERS}from fused.models.api.job import UdfJobStepConfig\njob = fused.run(rivers, engine='batch', n=3)\njob"
    )
    done = sdk.get("api.wait_for_job(job.job_id, poll_interval_seconds=0.2, timeout=40)")
    assert (done["job_id"], done["terminal_status"]) == (job["job_id"], True)
    assert any("counting 3" in each["message"] for each in sdk.get("api.get_logs(job.job_id)"))
    assert sdk.get("api.get_job_config(job.job_id).steps[0].udf.name") == "rivers"
