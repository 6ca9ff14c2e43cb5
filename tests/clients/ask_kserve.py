"""Ask a server with KServe's client; run by the Python of the clients' environment."""

import asyncio
import json
import sys

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def ask(asked: dict) -> dict:
    headers = {"authorization": f"Bearer {asked['token']}"}
    url, name = f"http://127.0.0.1:{asked['port']}", asked["name"]
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found = {}
    for binary in (False, True):
        inputs = []
        for column, (datatype, values) in asked["columns"].items():
            one = InferInput(name=column, shape=[len(values)], datatype=datatype)
            if binary:
                kind = np.object_ if datatype == "BYTES" else np.float64
                one.set_data_from_numpy(np.array(values, dtype=kind), binary_data=True)
            else:
                one.data = values
            inputs.append(one)
        parameters = {"binary_data_output": binary}
        request = InferRequest(name, inputs, request_id="mine", parameters=parameters)
        answer = await client.infer(url, request, model_name=name, headers=dict(headers))
        assert answer.id == "mine", answer.id
        outputs = {one.name: one.as_numpy().tolist() for one in answer.outputs}
        found["binary" if binary else "json"] = outputs["prediction"]
    ready = [
        await client.is_server_live(url, headers=headers),
        await client.is_server_ready(url, headers=headers),
        await client.is_model_ready(url, name, headers=headers),
    ]
    await client.close()
    return {"found": found, "ready": ready}


if __name__ == "__main__":
    json.dump(asyncio.run(ask(json.load(sys.stdin))), sys.stdout)
