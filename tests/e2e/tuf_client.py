"""python-tuf as it comes: gets targets from a repository, beginning with a root that was handed over.

    tuf_client.py URL FOLDER ROOT TARGET...

Prints a line for each target: its name and SHA-256, or the name of the exception and what it says."""
import hashlib
import os
import sys

from tuf.ngclient import Updater

url, folder, root = sys.argv[1:4]
os.makedirs(folder, exist_ok=True)
os.makedirs(folder + "/targets", exist_ok=True)
try:
    updater = Updater(folder + "/metadata", url + "/", folder + "/targets", url + "/targets/", bootstrap=open(root, "rb").read())
    updater.refresh()
    print("refreshed")
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
for name in sys.argv[4:]:
    try:
        info = updater.get_targetinfo(name)
        if info is None:
            print(name, "NotFound")
            continue
        path = updater.download_target(info)
        print(name, hashlib.sha256(open(path, "rb").read()).hexdigest())
    except Exception as error:
        print(name, type(error).__name__, error)
