#!/usr/bin/env python3
"""Uploads files of `convert --to wandb` with `wandb sync` to a stand-in for the W&B server.

    sync.py DIR

DIR is as for read_back.py. The stand-in listens on the local host only; it answers as much as
`wandb sync` needs (0.16 and 0.31 were tried) and keeps what is sent. Names, histories, summaries
and exit codes must be those of the runs, bit for bit. Whether the real server shows them so, it
cannot tell. Ends with 1 and a message at the first difference.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from read_back import Difference, same, same_points


class Upload:
    """The data received for one run."""

    def __init__(self, name, project):
        self.name, self.project = name, project
        self.rows, self.summary, self.exit_code = [], {}, None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # clients keep connections open

    def log_message(self, *_):
        pass

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        sent = json.loads(body, parse_int=float)
        if self.path == "/graphql":
            self.answer({"data": self.server.graphql(sent["query"], sent.get("variables") or {})})
        else:  # /files/<entity>/<project>/<run>/file_stream
            self.server.stream(self.path.split("/")[4], sent)
            self.answer({})


class StandIn(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.uploads = {}

    def graphql(self, query, variables):
        if "upsertBucket" in query:
            name, project = variables["name"], variables["project"]
            if name not in self.uploads:
                self.uploads[name] = Upload(variables["displayName"], project)
            entity = {"id": "entity", "name": "someone"}
            bucket = {"id": "bucket", "name": name, "displayName": variables["displayName"]}
            bucket["project"] = {"id": "project", "name": project, "entity": entity}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "RunUploadUrls" in query:  # 0.16 uploads config and summary as files, which are ignored
            files = {"uploadHeaders": [], "edges": []}
            return {"model": {"bucket": {"id": "bucket", "files": files}}}
        return {}  # queries about server capabilities

    def stream(self, run, sent):
        upload = self.uploads[run]
        files = sent.get("files", {})
        if history := files.get("wandb-history.jsonl"):
            same(run, "the first row sent", history["offset"], len(upload.rows))
            upload.rows += [json.loads(line, parse_int=float) for line in history["content"]]
        if summary := files.get("wandb-summary.json"):
            upload.summary = json.loads(summary["content"][-1], parse_int=float)
        if sent.get("complete"):
            upload.exit_code = sent["exitcode"]


def sync(runs, home):
    """Everything that `wandb sync` sends for the directories `runs`."""
    server = StandIn()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        **os.environ,
        "WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "WANDB_API_KEY": "0" * 40,
        "WANDB_ERROR_REPORTING": "false",
        "NO_PROXY": "127.0.0.1",
        "HOME": home,  # do not read or write the user's files
        "WANDB_DIR": home,
        "WANDB_CONFIG_DIR": home,
        "WANDB_CACHE_DIR": home,
    }
    wandb = str(Path(sys.executable).parent / "wandb")
    done = subprocess.run(
        [wandb, "sync", *runs],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        raise Difference(f"wandb sync ends with {done.returncode}: {done.stdout}{done.stderr}")
    return server.uploads


def check(directory):
    expected = json.loads((directory / "expected.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as home:
        copy = Path(shutil.copytree(directory / "wandb", Path(home) / "wandb"))  # wandb writes marker files
        runs = sorted(str(run) for run in copy.iterdir())
        uploads = sync(runs, home)
    same("wandb sync", "the ids", sorted(uploads), sorted(run[-8:] for run in runs))
    by_name = {upload.name: upload for upload in uploads.values()}
    same("wandb sync", "the names", sorted(by_name), sorted(run["label"] for run in expected))
    for run in expected:
        name, metric, upload = run["label"], run["metric"], by_name[run["label"]]
        for number, row in enumerate(upload.rows):
            keys = ["_runtime", "_step", "_timestamp", metric]
            same(name, f"the keys of row {number}", sorted(row), keys)
        points = [(row["_step"], row[metric]) for row in upload.rows]
        same_points(name, points, run["points"])
        same(name, "the summary", upload.summary.get(metric), run["points"][-1][1])
        runtime = {"runtime": len(points) - 1}
        same(name, "the runtime", upload.summary.get("_wandb"), runtime)
        same(name, "the exit code", upload.exit_code, 0)
    return len(expected), sum(len(run["points"]) for run in expected)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: sync.py DIR")
    try:
        runs, points = check(Path(sys.argv[1]))
    except Difference as difference:
        sys.exit(f"sync: {difference}")
    print(f"wandb sync: {runs} runs, {points} points uploaded")


if __name__ == "__main__":
    main()
