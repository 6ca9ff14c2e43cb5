"""Ask a server with MLflow's own client; run by the Python of the clients' environment."""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def main() -> None:
    asked = json.load(sys.stdin)
    rows, dates = asked["rows"], asked["dates"]
    # What MLflow knows of no token is in the netrc file that `requests` reads.
    client = ScoringServerClient("127.0.0.1", asked["port"])
    client.wait_server_ready(timeout=10)
    frame = pd.DataFrame(rows)
    for name in dates:
        frame[name] = pd.to_datetime(frame[name])
    forms = {
        "frame": frame,
        "records": rows,
        "text": json.dumps({"dataframe_records": rows}),
    }
    found = {
        name: client.invoke(form).get_predictions("ndarray").tolist()
        for name, form in forms.items()
    }
    json.dump({"version": client.get_version(), "found": found}, sys.stdout)


if __name__ == "__main__":
    main()
