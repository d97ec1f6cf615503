"""examples/slurm/compute.sbatch on a real Slurm."""
from common import (ROLLOUTS, ROOT, SAME, SLOW, WEIGHTS, assert_same, assert_says, damage, finished_steps, history, long_run, make_run,
                    read_rows, rows, until)
from slurm import Slurm

SCRIPT = ROOT / "examples/slurm/compute.sbatch"
THREADS = 8  # as the script asks for


class Submission:
    """The script, run as a user does; `shards` and `merge` are the ids of its jobs."""

    def __init__(self, slurm, tmp, run, shards, *flags, **variables):
        self.slurm, self.tmp, self.count = slurm, tmp, shards
        variables = {"DEVICE": "cpu", **variables}
        said = slurm.run("bash", SCRIPT, str(shards), run, ROLLOUTS, *SAME, *flags, directory=tmp, **variables)
        words = said.replace(",", "").replace(";", "").split()
        self.shards, self.merge = [words[i + 1] for i, word in enumerate(words) if word == "job"]

    def log(self, shard=None):
        name = f"entropy-{self.shards}_{shard}.log" if shard else f"entropy-{self.merge}.log"
        path = self.tmp / name
        return path.read_text() if path.exists() else ""

    def merged(self):
        state = self.slurm.wait(self.merge)
        logs = [self.log(), *(self.log(i) for i in range(1, self.count + 1))]
        assert state == "COMPLETED", f"{state}: " + "\n".join(logs)

    def not_merged(self):
        state = self.slurm.wait(self.merge)
        assert state == "FAILED", f"{state}: {self.log()}"
        return self.log()


def shards_of_checkpoints(tools, tmp):
    """More shards than checkpoints: one has nothing to do."""
    run = make_run(tmp)
    with Slurm(tools, tmp) as slurm:
        Submission(slurm, tmp, run, 4).merged()
    assert_same(rows(run), tools.whole(tmp, run, SAME, THREADS))
    assert history(run).with_suffix(".png").is_file()


def shards_of_rows(tools, tmp):
    """More shards than checkpoints: each computes a part of the responses."""
    run = make_run(tmp, {40: "qwen3", 80: "qwen2"})
    with Slurm(tools, tmp) as slurm:
        Submission(slurm, tmp, run, 3, SHARD_BY="rows").merged()
        single = run / "global_step_40/actor/huggingface"
        Submission(slurm, tmp, single, 2, "-o", "single/history.json", SHARD_BY="rows").merged()
    whole = tools.whole(tmp, run, SAME, THREADS)
    assert_same(rows(run), whole, tolerance=1e-6)
    assert_same(read_rows(tmp / "single/history.json"), {40: whole[40]}, tolerance=1e-6)


def broken_checkpoint(tools, tmp):
    """The merge names the shard and its last lines, and does not run; after a repair, it does."""
    run = make_run(tmp)
    repair = damage(run / WEIGHTS.format(80))
    with Slurm(tools, tmp) as slurm:
        said = Submission(slurm, tmp, run, 3).not_merged()
        assert_says(said, "shard 2/3 did not finish", "model.safetensors", "not merged: 1 of 3 shards", "--dtype float32 --device cpu")
        assert "shard 1/3" not in said and "shard 3/3" not in said, said
        assert not history(run).exists()
        assert finished_steps(run) == [40, 120]
        repair()
        again = Submission(slurm, tmp, run, 3)
        again.merged()
        assert_says(again.log(1), "step 40: already in")
    assert_same(rows(run), tools.whole(tmp, run, SAME, THREADS))


def broken_checkpoint_of_rows(tools, tmp):
    """Every shard of rows computes every checkpoint, so every shard is named."""
    run = make_run(tmp)
    damage(run / WEIGHTS.format(80))
    with Slurm(tools, tmp) as slurm:
        said = Submission(slurm, tmp, run, 2, SHARD_BY="rows").not_merged()
    assert_says(said, "shard 1/2 did not finish", "shard 2/2 did not finish", "model.safetensors", "not merged: 2 of 2 shards")
    assert not history(run).exists()


def wrong_arguments(tools, tmp):
    """Errors before anything is submitted."""
    run = make_run(tmp)
    with Slurm(tools, tmp) as slurm:
        for arguments, words in [
            ([run, ROLLOUTS, "--temperature", "0.7"], "usage: bash compute.sbatch N"),
            (["2", run, tmp / "no.jsonl"], "no.jsonl does not exist"),
            (["2", run, ROLLOUTS, "--tokens-out", "t.jsonl"], "would write the same --tokens-out"),
        ]:
            assert_says(slurm.fails("bash", SCRIPT, *arguments, directory=tmp), words)
        assert slurm.jobs() == {}


def no_gpu(tools, tmp):
    """A cluster without GPUs rejects the job at once; a task without a GPU fails before it computes."""
    run = make_run(tmp)
    with Slurm(tools, tmp) as slurm:
        assert_says(slurm.fails("bash", SCRIPT, "2", run, ROLLOUTS, directory=tmp), "rejects the shards", "DEVICE=cpu")
        assert slurm.run("squeue", "--noheader") == ""
        job = slurm.run("sbatch", "--parsable", "--array=1-1", "--output=alone.log", SCRIPT, "shard", "1", run, ROLLOUTS,
                        directory=tmp).strip()
        assert slurm.wait(f"{job}_1") == "FAILED"
        assert_says((tmp / "alone.log").read_text(), "shard 1/1 has no GPU", "--gpus=1", "DEVICE=cpu")
    assert not (run / "shards").exists()


def gpus_without_cuda(tools, tmp):
    """Slurm allocates GPUs that do not work: every shard is named with the reason."""
    run = make_run(tmp)
    with Slurm(tools, tmp, gpus=2) as slurm:
        said = Submission(slurm, tmp, run, 2, DEVICE="cuda").not_merged()
    assert_says(said, "shard 1/2 did not finish", "shard 2/2 did not finish", "CUDA", "not merged: 2 of 2 shards")
    assert not history(run).exists()


def requeued(tools, tmp):
    """A job that is requeued while it computes keeps its finished steps; the merge waits for the second attempt."""
    run = long_run(tmp, 24)
    with Slurm(tools, tmp) as slurm:
        job = Submission(slurm, tmp, run, 2, *SLOW)
        until("a step of shard 1 is finished", lambda: odd(finished_steps(run)), 60)
        slurm.run("scontrol", "requeue", f"{job.shards}_1")
        until("shard 1 waits again", lambda: slurm.jobs()[f"{job.shards}_1"][0] == "PENDING", 30)
        assert len(odd(finished_steps(run))) < 12, "shard 1 had already finished"
        job.merged()
        assert slurm.jobs()[f"{job.shards}_1"][1] == 1, "not restarted"
        assert_says(job.log(1), "DUE TO JOB REQUEUE", "interrupted with", "ended with exit code 130", "already in", "shard 1/2 finished")
    assert_same(rows(run), tools.whole(tmp, run, SAME + SLOW, THREADS))


def odd(steps):
    return [step for step in steps if step % 2]


def interrupted_and_killed(tools, tmp):
    """Cancelled, killed as when memory runs out, and warned of the time limit: each shard is named, and continues later."""
    run = long_run(tmp, 24)
    with Slurm(tools, tmp) as slurm:
        job = Submission(slurm, tmp, run, 4, *SLOW)
        until("a step of both running shards is finished", lambda: {1, 2} <= set(finished_steps(run)), 60)
        slurm.run("scancel", f"{job.shards}_1")
        slurm.run("scancel", "--full", "--signal=KILL", f"{job.shards}_2")
        until("a step of shard 3 is finished", lambda: 3 in finished_steps(run), 60)
        slurm.run("scancel", "--batch", "--signal=USR1", f"{job.shards}_3")
        said = job.not_merged()
        assert_says(said, *(f"shard {i}/4 did not finish" for i in (1, 2, 3)), "not merged: 3 of 4 shards")
        assert "shard 4/4" not in said, said
        assert_says(job.log(1), "CANCELLED", "interrupted with", "shard 1/4 ended with exit code 130")
        assert_says(job.log(3), "interrupted with", "shard 3/4 ended with exit code 130")
        assert not history(run).exists()
        again = Submission(slurm, tmp, run, 4, *SLOW)
        again.merged()
        for i in (1, 2, 3):
            assert_says(again.log(i), "already in")
    assert_same(rows(run), tools.whole(tmp, run, SAME + SLOW, THREADS))


def time_limit(tools, tmp):
    """Slurm's warning before the time limit stops a shard after its current batch."""
    run = long_run(tmp, 400)
    with Slurm(tools, tmp) as slurm:
        # Slurm looks every 30 seconds which jobs to warn, and may do so 30 seconds early: here 20 to 50 seconds after the start.
        job = Submission(slurm, tmp, run, 1, *SLOW, "--samples", "4", SBATCH_TIMELIMIT="1", SBATCH_SIGNAL="B:USR1@10")
        said = job.not_merged()
        assert slurm.jobs()[f"{job.shards}_1"][::2] == ("FAILED", "130:0"), slurm.jobs()
        assert_says(job.log(1), "interrupted with")
        assert_says(said, "shard 1/1 did not finish", "exit code 130")
        assert 0 < len(finished_steps(run)) < 400


CASES = [shards_of_checkpoints, shards_of_rows, broken_checkpoint, broken_checkpoint_of_rows, wrong_arguments, no_gpu, gpus_without_cuda, requeued,
         interrupted_and_killed, time_limit]
