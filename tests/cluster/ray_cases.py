"""examples/ray/compute.py on a real Ray."""
import os
import signal
import time

from common import SAME, SLOW, WEIGHTS, assert_same, assert_says, damage, finished_steps, history, long_run, make_run, rows, until
from ray_cluster import LIMIT, Ray, programs

THREADS = 1


def shards_of_checkpoints(tools, tmp):
    """More shards than checkpoints: one has nothing to do."""
    run = make_run(tmp)
    with Ray(tools, tmp) as ray:
        code, said = ray.run(run, 4, "--cpu")
    assert code == 0, said
    assert_same(rows(run), tools.whole(tmp, run, SAME, THREADS))


def shards_of_rows(tools, tmp):
    """More shards than checkpoints: each computes a part of the responses."""
    run = make_run(tmp, {40: "qwen3", 80: "qwen2"})
    with Ray(tools, tmp) as ray:
        code, said = ray.run(run, 3, "--cpu", "--shard-by", "rows")
    assert code == 0, said
    assert_same(rows(run), tools.whole(tmp, run, SAME, THREADS), tolerance=1e-6)


def broken_checkpoint(tools, tmp):
    """The driver names the shard and its last lines, and does not merge; after a repair, it does."""
    run = make_run(tmp)
    repair = damage(run / WEIGHTS.format(80))
    with Ray(tools, tmp) as ray:
        code, said = ray.run(run, 3, "--cpu")
        assert code == 1, said
        assert_says(said, "shard 2/3 failed (exit code 2)", "model.safetensors", "not merged: shards 2/3 failed",
                    "--dtype float32 --device cpu")
        assert "shard 1/3 failed" not in said and "shard 3/3 failed" not in said, said
        assert not history(run).exists() and finished_steps(run) == [40, 120]
        repair()
        code, said = ray.run(run, 3, "--cpu")
        assert code == 0, said
        assert_says(said, "step 40: already in")
    assert_same(rows(run), tools.whole(tmp, run, SAME, THREADS))


def no_gpu(tools, tmp):
    """A cluster that can never run a shard is an error at once, not a wait."""
    run = make_run(tmp)
    with Ray(tools, tmp) as ray:
        for flags, words in [([], "1 CPUs and 1 GPUs"), (["--cpu", "--cpus", "3"], "3 CPUs and 0 GPUs")]:
            started = time.monotonic()
            code, said = ray.run(run, 2, *flags)
            assert code == 1, said
            assert_says(said, words, "--cpu computes on CPUs", "--wait")
            assert time.monotonic() - started < 30
    assert not (run / "shards").exists()


def waits_for_a_node(tools, tmp):
    """With --wait, a shard that fits on no node waits until one is added, as an autoscaler does."""
    run = make_run(tmp)
    with Ray(tools, tmp, cpus=1) as ray:
        script = ray.submit(run, 1, "--cpu", "--cpus", "2", "--wait")
        time.sleep(10)
        assert script.poll() is None and not (run / "shards").exists(), "it did not wait"
        ray.add_node(cpus=2)
        said = script.communicate(timeout=LIMIT)[0]
        assert script.returncode == 0, said
    assert_same(rows(run), tools.whole(tmp, run, SAME, 2))


def gpus_without_cuda(tools, tmp):
    """Ray allocates GPUs that do not work: every shard is named with the reason."""
    run = make_run(tmp)
    with Ray(tools, tmp, gpus=2) as ray:
        code, said = ray.run(run, 2)
    assert code == 1, said
    assert_says(said, "shard 1/2 failed (exit code 2)", "shard 2/2 failed (exit code 2)", "CUDA", "not merged")
    assert not history(run).exists()


def program_missing(tools, tmp):
    """A node without entropy-viz on its PATH: the message says so."""
    run = make_run(tmp)
    ray = Ray(tools, tmp)
    with_program = ray.environment["PATH"]
    ray.environment["PATH"] = with_program.replace(f"{tools.program.parent}:", "")
    with ray:
        ray.environment["PATH"] = with_program  # the driver has it
        code, said = ray.run(run, 1, "--cpu")
    assert code == 1, said
    assert_says(said, "shard 1/1 failed", "No such file or directory: 'entropy-viz'")


def killed_program(tools, tmp):
    """A shard that is killed, as when memory runs out, is named; run again, it continues."""
    run = long_run(tmp, 24)
    with Ray(tools, tmp) as ray:
        script = ray.submit(run, 2, "--cpu", *SLOW)
        until("a step of shard 1 is finished", lambda: 1 in finished_steps(run), 90)
        [pid] = [pid for pid, line in programs(tools).items() if "1/2" in line]
        os.kill(pid, signal.SIGKILL)
        said = script.communicate(timeout=LIMIT)[0]
        assert script.returncode == 1, said
        assert_says(said, "shard 1/2 failed (exit code -9)", "not merged: shards 1/2 failed")
        code, said = ray.run(run, 2, "--cpu", *SLOW)
        assert code == 0, said
    assert_same(rows(run), tools.whole(tmp, run, SAME + SLOW, THREADS))


def lost_worker(tools, tmp):
    """Ray starts the shard of a lost worker again, which continues after its finished steps."""
    run = long_run(tmp, 24)
    with Ray(tools, tmp) as ray:
        script = ray.submit(run, 2, "--cpu", *SLOW)
        until("a step of shard 1 is finished", lambda: 1 in finished_steps(run), 90)
        [pid] = [pid for pid, line in programs(tools).items() if "1/2" in line]
        os.kill(parent(pid), signal.SIGKILL)
        said = script.communicate(timeout=LIMIT)[0]
        assert script.returncode == 0, said
        assert_says(said, "step 1: already in")
    assert_same(rows(run), tools.whole(tmp, run, SAME + SLOW, THREADS))


def parent(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def interrupted_driver(tools, tmp):
    """Ctrl-C ends the shards too; run again, they continue."""
    run = long_run(tmp, 24)
    with Ray(tools, tmp) as ray:
        script = ray.submit(run, 2, "--cpu", *SLOW)
        until("a step of both shards is finished", lambda: {1, 2} <= set(finished_steps(run)), 90)
        script.send_signal(signal.SIGINT)
        said = script.communicate(timeout=60)[0]
        assert script.returncode != 0, said
        until("no shard is running", lambda: not programs(tools), 30)
        kept = finished_steps(run)
        assert len(kept) < 24 and not history(run).exists()
        code, said = ray.run(run, 2, "--cpu", *SLOW)
        assert code == 0, said
        assert said.count("already in") >= len(kept)
    assert_same(rows(run), tools.whole(tmp, run, SAME + SLOW, THREADS))


CASES = [shards_of_checkpoints, shards_of_rows, broken_checkpoint, no_gpu, waits_for_a_node, gpus_without_cuda, program_missing,
         killed_program, lost_worker, interrupted_driver]
