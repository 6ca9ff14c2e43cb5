"""Ask a server with Triton's client, which speaks the same protocol, in binary if not told else."""

import json
import sys

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


def main() -> None:
    asked = json.load(sys.stdin)
    headers = {"authorization": f"Bearer {asked['token']}"}
    name, model = asked["name"], asked["model"]
    client = InferenceServerClient(f"127.0.0.1:{asked['port']}")
    found = {}
    inputs = []
    for column, (datatype, values) in asked["columns"].items():
        one = InferInput(column, [len(values), 1], datatype)
        kind = np.object_ if datatype == "BYTES" else np.float64
        one.set_data_from_numpy(np.array(values, dtype=kind).reshape(-1, 1))
        inputs.append(one)
    answer = client.infer(name, inputs, headers=headers, request_id="mine")
    found["binary"] = answer.as_numpy("prediction").tolist()
    ids = [one.decode() for one in answer.as_numpy("id")]
    wanted = [InferRequestedOutput("prediction", binary_data=False)]
    answer = client.infer(name, inputs, model_version=model, outputs=wanted, headers=headers)
    found["by version"] = answer.as_numpy("prediction").tolist()
    try:
        client.infer(name, inputs[1:], headers=headers)
        refused = ""
    except InferenceServerException as error:
        refused = error.message()
    ready = [
        client.is_server_live(headers=headers),
        client.is_server_ready(headers=headers),
        client.is_model_ready(name, headers=headers),
        client.is_model_ready(name, model, headers=headers),
    ]
    metadata = client.get_model_metadata(name, headers=headers)
    told = {"found": found, "ready": ready, "ids": ids, "refused": refused, "metadata": metadata}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
