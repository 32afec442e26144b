"""What is taken away in `test_guards.py`, a guard at a time, and the tests that must notice."""

from typing import NamedTuple

LOCAL, QUEUE = "tests/unit/execution/test_local.py::", "tests/unit/execution/test_queue.py::"
RECYCLING, LIMITS = "tests/unit/execution/test_recycling.py::", "tests/unit/execution/test_limits.py::"
LIMITED = "tests/unit/execution/test_breaches.py::"
BASELINE, CALLS = "tests/unit/worker/test_baseline.py::", "tests/integration/test_calls.py::"


class Guard(NamedTuple):
    """A few words of the code, what they become, and the tests of which one must notice."""

    name: str
    file: str
    code: str
    instead: str
    tests: tuple[str, ...]


GUARDS = (
    Guard(
        "a worker that nobody waits for any more is ended",
        "execution/worker.py",
        "        except (TimeoutError, asyncio.CancelledError):\n            self.kill()\n",
        "        except (TimeoutError, asyncio.CancelledError):\n",
        (LOCAL + "test_a_deadline_kills", LOCAL + "test_a_job_that_nobody_waits_for_is_ended"),
    ),
    Guard(
        "a job has a deadline",
        "execution/worker.py",
        "self._nursery.deadlines.add(reply, seconds)",
        "pass",
        (LOCAL + "test_a_deadline_kills",),
    ),
    Guard(
        "a death from outside is tried once more",
        "execution/local.py",
        "if lost.explained or started > 1:",
        "if True:",
        (LOCAL + "test_kills_from_outside_fail_nobody",),
    ),
    Guard(
        "a crash of the function's own is not",
        "execution/failures.py",
        "return bool(self.breach) or (self.started",
        "return bool(self.breach) and (self.started",
        (LOCAL + "test_a_crash_is_the_functions_own",),
    ),
    Guard(
        "who crashes again and again rests",
        "execution/local.py",
        "if error.code in _BREACHES:",
        "if False:",
        (LOCAL + "test_a_function_that_crashes_again_and_again_rests",),
    ),
    Guard(
        "orphans come to the nursery",
        "prctl.py",
        "_prctl(_SUBREAPER, 1)",
        "pass",
        (LOCAL + "test_no_daemon_outlives_its_run",),
    ),
    Guard(
        "nobody survives the server",
        "worker/nursery.py",
        "            self._end_all()\n",
        "            pass\n",
        ("tests/integration/test_stop.py::test_a_killed_server_leaves_no_process",),
    ),
    Guard(
        "memory is limited",
        "worker/system.py",
        "_limit(resource.RLIMIT_DATA, used + memory)",
        "pass",
        ("tests/unit/worker/test_system.py",),
    ),
    Guard(
        "results are limited",
        "encode/__init__.py",
        "if len(drawn.body) > limit:",
        "if False:",
        (LOCAL + "test_a_failure_costs_only_its_own_job",),
    ),
    Guard(
        "frames are limited",
        "frames.py",
        "if message > self._message_limit or body > self._body_limit:",
        "if False:",
        ("tests/unit/test_frames.py",),
    ),
    Guard(
        "shared memory cannot be taken away",
        "results.py",
        "fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL",
        "fcntl.F_SEAL_GROW",
        ("tests/unit/test_results.py",),
    ),
    Guard(
        "workers do not grow old",
        "execution/workers.py",
        "old = worker.jobs >= RECYCLE_JOBS or now - worker.born > RECYCLE_SECONDS",
        "old = False",
        (
            RECYCLING + "test_a_worker_is_replaced_after_so_many_jobs",
            RECYCLING + "test_a_worker_is_replaced_at_its_age",
        ),
    ),
    Guard(
        "who leaks is replaced",
        "execution/worker.py",
        "self.retired |= bool(reply.leak)",
        "pass",
        (RECYCLING + "test_a_worker_that_leaves_a_process_is_replaced_at_once",),
    ),
    Guard(
        "the server goes first",
        "worker/process.py",
        "os.nice(_NICE)",
        "pass",
        (LIMITS + "test_workers_and_what_they_start_come_after_the_server",),
    ),
    Guard(
        "processor time is limited",
        "worker/cost.py",
        "system.limit_cpu(time.process_time(), seconds + 1)",
        "pass",
        (LIMITS + "test_each_run_has_processor_time_of_its_own",),
    ),
    Guard(
        "what a job changed is put back",
        "worker/process.py",
        "        self._baseline.restore()\n",
        "",
        (LOCAL + "test_what_a_run_changes_is_undone",),
    ),
    Guard(
        "a worker with children is not used again",
        "worker/baseline.py",
        'return "child processes"',
        'return ""',
        (BASELINE + "test_what_a_job_left_behind",),
    ),
    Guard(
        "one group cannot fill the queue",
        "execution/queue.py",
        "if waiting >= self._group_limit:",
        "if False:",
        (QUEUE + "test_one_group_cannot_fill_the_queue",),
    ),
    Guard(
        "a hopeless wait is refused",
        "execution/queue.py",
        "if full or hopeless:",
        "if full:",
        (QUEUE + "test_a_hopeless_wait_is_refused_on_arrival",),
    ),
    Guard(
        "nobody is held for ever",
        "execution/queue.py",
        "self._deadlines.add(slot.turn, self._hold if hold is None else hold)",
        "pass",
        (QUEUE + "test_nobody_is_held_for_ever",),
    ),
    Guard(
        "groups take turns",
        "execution/queue.py",
        "        self.deficit -= slot.cost\n",
        "",
        (QUEUE + "test_groups_take_turns_and_the_newest_goes_first", QUEUE + "test_turns_are_by_cost"),
    ),
    Guard(
        "the oldest is not forgotten",
        "execution/queue.py",
        "self.waiting[0 if self._turns % _OLDEST_EVERY == _OLDEST_EVERY - 1 else -1]",
        "self.waiting[-1]",
        (QUEUE + "test_the_oldest_of_a_group_is_not_forgotten",),
    ),
    Guard(
        "calls go only so deep",
        "pipeline.py",
        "if job.caller.depth > CALL_DEPTH:",
        "if False:",
        (CALLS + "test_a_chain_of_five_on_one_core",),
    ),
    Guard(
        "calls in a circle are refused",
        "callgraph.py",
        "if not self._reachable(flight).isdisjoint(chain):",
        "if False:",
        (CALLS + "test_a_circle_is_refused",),
    ),
    Guard(
        "a changed callee makes its callers stale",
        "callees.py",
        "            if grant is None or grant.digest != callee.digest or 0 <= callee.epoch < grant.epoch:\n"
        "                return False\n",
        "            assert digest != grant\n",
        ("tests/integration/test_callees.py",),
    ),
    Guard(
        "who has gone leaves the flight",
        "tilecache/flights.py",
        "task.cancel()",
        "pass",
        ("tests/unit/tilecache", "tests/integration/test_flights.py"),
    ),
    Guard(
        "tokens are kept as keyed digests",
        "tokens.py",
        'return hmac.digest(self._mac_key, token.encode("utf-8", "surrogatepass"), "sha256")',
        'return token.encode("utf-8", "surrogatepass")',
        ("tests/unit/test_tokens.py", "tests/unit/registry/test_database.py"),
    ),
    Guard(
        "a disabled token opens nothing",
        "registry/lookup.py",
        ".where(shared_token.c.enabled & udf.c.present",
        ".where(udf.c.present",
        ("tests/unit/registry/test_lookup.py",),
    ),
    Guard(
        "a team's token opens nothing to others",
        "registry/lookup.py",
        "(shared_token.c.mac == self._keyring.mac(token)) & shared(asking_id)",
        "shared_token.c.mac == self._keyring.mac(token)",
        ("tests/unit/registry/test_lookup.py",),
    ),
    Guard(
        "what is for some is not given again to all",
        "web/answering.py",
        "and not by_accept and ask.for_all and not",
        "and not by_accept and not",
        ("tests/integration/test_sharing.py",),
    ),
    Guard(
        "a session is for one token",
        "web/session_tokens.py",
        "keyring.has_signed(signature, _PURPOSE, token, name, until)",
        "re.fullmatch(_SHAPE, text) is not None",
        ("tests/unit/web/test_session_tokens.py",),
    ),
    Guard(
        "a damaged entry is a miss",
        "tilecache/entry.py",
        "if magic != MAGIC or zlib.crc32(rest) != checksum:",
        "if magic != MAGIC:",
        ("tests/unit/tilecache",),
    ),
    Guard(
        "entries age",
        "tilecache/terms.py",
        "entry.facts.age < self.max_age\n",
        "self.max_age > 0\n",
        ("tests/unit/tilecache",),
    ),
    Guard(
        "a cleared entry is not served",
        "bans.py",
        "if epoch < self.floor:",
        "if False:",
        ("tests/unit/tilecache",),
    ),
    Guard(
        "a tile in a cleared place is not served",
        "tilecache/terms.py",
        "return self.bans.cleared(",
        "return False and self.bans.cleared(",
        ("tests/unit/tilecache",),
    ),
    Guard(
        "what nobody adopts is ended",
        "worker/nursery.py",
        "        self._looked = time.monotonic()\n        self._end_strangers()\n",
        "        self._looked = time.monotonic()\n",
        (LOCAL + "test_no_daemon_outlives_its_run",),
    ),
    Guard(
        "who closes its channel is to blame for its end",
        "execution/worker.py",
        "if not self._death.done() and processes.is_alive(self.pid):",
        "if False:",
        (LOCAL + "test_what_ends_its_own_worker_runs_once",),
    ),
    Guard(
        "a start that failed is tried again",
        "execution/supervisor.py",
        "            except Exception:  # whatever it is",
        "            except ZeroDivisionError:  # whatever it is",
        ("tests/unit/execution/test_births.py",),
    ),
    Guard(
        "processes and threads are counted",
        "worker/watch.py",
        'return "processes_exceeded"',
        'return ""',
        (LIMITED + "test_who_starts_too_many_is_ended",),
    ),
    Guard(
        "memory is watched from outside",
        "worker/watch.py",
        'return "memory_exceeded"',
        'return ""',
        (LIMITED + "test_processes_share_their_workers_memory",),
    ),
    Guard(
        "scratch folders are looked at",
        "worker/watch.py",
        "(is_due and self._has_filled(pid, birth)) or",
        "",
        (LIMITED + "test_who_writes_too_much_is_ended",),
    ),
    Guard(
        "a file has a size",
        "worker/system.py",
        "    _limit(resource.RLIMIT_FSIZE, file_size)\n",
        "",
        (LIMITED + "test_who_writes_too_much_is_ended",),
    ),
    Guard(
        "open files are limited",
        "worker/system.py",
        "    _limit(resource.RLIMIT_NOFILE, open_files)\n",
        "",
        (LIMITED + "test_who_opens_too_many_files_is_told",),
    ),
    Guard(
        "a call that is under way takes its room below a cap",
        "usage/usage.py",
        "            meter.pending += 1\n",
        "            pass\n",
        ("tests/unit/usage/test_caps.py::test_what_was_no_call_takes_nothing",),
    ),
)
