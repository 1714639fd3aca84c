"""The Hub's own client against a server: does one thing after the other, and prints what each came to.

Standard input is a JSON list of objects: `do` is the name of a function below, the rest its arguments.
Standard output is the list of the answers; where the client raised an error, its names and its status.
HF_ENDPOINT and HF_TOKEN are the caller's.
"""

import hashlib
import json
import sys

from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download

api = HfApi()


def upload(repo, kind, path, file):
    done = api.upload_file(path_or_fileobj=file, path_in_repo=path, repo_id=repo, repo_type=kind)
    return done.oid


def commit(repo, kind, files, parent=None):
    adds = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=file) for path, file in files.items()]
    done = api.create_commit(
        repo_id=repo, repo_type=kind, operations=adds, commit_message="both", parent_commit=parent
    )
    return done.oid


def download(repo, kind, path, revision=None):
    place = hf_hub_download(repo, path, repo_type=kind, revision=revision)
    with open(place, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def info(repo, kind, revision=None):
    found = api.repo_info(repo, repo_type=kind, revision=revision)
    names = sorted(one.rfilename for one in found.siblings)
    return {"sha": found.sha, "private": found.private, "files": names}


def large(repo, kind, path):
    [found] = api.get_paths_info(repo, [path], repo_type=kind)
    return found.lfs and found.lfs.sha256


def attempt(step):
    step = dict(step)
    function = globals()[step.pop("do")]
    try:
        return function(**step)
    except Exception as error:
        response = getattr(error, "response", None)
        names = [one.__name__ for one in type(error).__mro__]
        return {"error": names, "status": getattr(response, "status_code", None), "text": str(error)}


print(json.dumps([attempt(step) for step in json.load(sys.stdin)]))
