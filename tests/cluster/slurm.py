"""A Slurm cluster of this machine: munged, slurmctld and one slurmd, with all state in one directory."""
import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from common import until
from processes import die_with_parent

# One node with room for two shards, each with what the script asks for a real model, whatever the machine has. No control
# groups, which containers rarely allow.
CONFIG = """\
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket,cred_expire=5
CredType=cred/munge
PluginDir={plugins}
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
{gpu_types}
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 Sockets=1 CoresPerSocket=16 ThreadsPerCore=1 RealMemory=200000 {gpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES DefaultTime=10 MaxTime=INFINITE State=UP
"""


class Slurm:
    """`with Slurm(tools, directory, gpus=2) as slurm:` the GPUs are files, which Slurm allocates like devices."""

    def __init__(self, tools, directory, gpus=0):
        self.directory, self.gpus, self.daemons = directory / "slurm", gpus, []
        packages = tools.slurm
        libraries = [path.parent for path in packages.rglob("libmunge.so.2")]
        plugins = [path.parent for path in packages.rglob("libslurmfull.so")]
        self.plugins = plugins[0] if plugins else system_plugins()
        self.environment = tools.environment(SLURM_CONF=str(self.directory / "slurm.conf"))
        paths = [packages / "usr/sbin", packages / "usr/bin", *self.environment["PATH"].split(":"), "/usr/sbin"]
        self.environment["PATH"] = ":".join(map(str, paths))
        self.environment["LD_LIBRARY_PATH"] = ":".join(map(str, [*libraries, *plugins]))

    def __enter__(self):
        for name in ("munge", "state", "spool"):
            (self.directory / name).mkdir(parents=True)
        for directory in self.directory.parents[:2]:
            directory.chmod(0o755)  # munged wants its socket to be reachable for every user
        controller, node = free_ports(2)
        host = socket.gethostname().split(".")[0]
        files = [self.directory / f"gpu{i}" for i in range(self.gpus)]
        for file in files:
            file.touch()
        gpus = {"gpu_types": "GresTypes=gpu" if files else "", "gpus": f"Gres=gpu:{self.gpus}" if files else ""}
        user = subprocess.check_output(["id", "-un"], text=True).strip()
        config = CONFIG.format(host=host, controller=controller, node=node, user=user, directory=self.directory,
                               plugins=self.plugins, **gpus)
        (self.directory / "slurm.conf").write_text(config)
        (self.directory / "gres.conf").write_text(f"Name=gpu File={self.directory}/gpu[0-{self.gpus - 1}]\n" if files else "")
        # Since 23.11 there is a word for "none"; before, the plugin is loaded and not used.
        version = re.search(r"(\d+)\.(\d+)", self.run("sinfo", "--version"))
        plugin = "disabled" if (int(version[1]), int(version[2])) >= (23, 11) else "cgroup/v1"
        (self.directory / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        key = self.directory / "munge/key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        munge = self.directory / "munge"
        self.start("munged", "--foreground", f"--socket={munge}/socket", f"--key-file={key}", f"--pid-file={munge}/pid",
                   f"--seed-file={munge}/seed", f"--log-file={munge}/log")
        until("munged has a socket", (munge / "socket").exists, 10)
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D", "-d", self.find("slurmstepd"))
        try:
            until("the node is idle", lambda: "idle" in self.ended(["sinfo", "--noheader", "--format=%T"], None, {}).stdout.split(), 30)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None
        return self

    def __exit__(self, *_):
        self.ended(["scancel", f"--user={os.getuid()}"], None, {})
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def find(self, name):
        path = shutil.which(name, path=self.environment["PATH"])
        assert path, f"{name} is not installed"
        return path

    def start(self, *command):
        with open(self.directory / f"{command[0]}.out", "w") as said:
            command = [self.find(command[0]), *command[1:]]
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL,
                                                 preexec_fn=die_with_parent))

    def said(self):
        """The last lines of the daemons' messages."""
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in self.directory.glob("*.out"))

    def run(self, *command, directory=None, **variables):
        """Runs a command of Slurm; returns its stdout."""
        done = self.ended(command, directory, variables)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def fails(self, *command, directory=None, **variables):
        """Runs a command that must fail; returns its stderr."""
        done = self.ended(command, directory, variables)
        assert done.returncode != 0, f"{command}: {done.stdout}"
        return done.stderr

    def ended(self, command, directory, variables):
        return subprocess.run(command, env={**self.environment, **variables}, cwd=directory or self.directory, capture_output=True,
                              text=True, timeout=60)

    def jobs(self):
        """State, restarts and exit code of every job and array task, by `12` or `12_3`."""
        found = {}
        for job in self.run("scontrol", "--oneliner", "show", "job").splitlines():
            if not job.startswith("JobId="):
                continue  # "No jobs in the system"
            facts = dict(word.split("=", 1) for word in job.split() if "=" in word)
            task = facts.get("ArrayTaskId")
            found[f"{facts['ArrayJobId']}_{task}" if task else facts["JobId"]] = (
                facts["JobState"], int(facts["Restarts"]), facts["ExitCode"])
        return found

    def wait(self, job, limit=120):
        """Waits until a job has ended; returns its state."""
        def ended():
            state = self.jobs()[job][0]
            return state if state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED") else None
        return until(f"job {job} has ended: {self.run('squeue')}", ended, limit)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [socket.getsockname()[1] for socket in sockets]
    for opened in sockets:
        opened.close()
    return ports


def system_plugins():
    """The plugins of a Slurm that is installed in the system."""
    found = [path.parent for path in Path("/usr/lib").glob("*/slurm*/libslurmfull.so")]
    assert found, "Slurm's plugins are not installed"
    return found[0]
