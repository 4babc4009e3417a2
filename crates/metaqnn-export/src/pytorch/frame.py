"""A trained image classifier, written by metaqnn. It needs torch alone, and model.safetensors beside this file.

{{preparation}}

    from model import Model
    model = Model.load()                # in evaluation mode
    probabilities = model(images)       # batch x classes, in the order of CLASS_NAMES

Run as a program (`python model.py`), it answers the images of reference.safetensors, or of the file named, and prints how far
its logits are from those stored there.
"""

import json
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional

CLASS_NAMES = {{class_names}}
INPUT_SHAPE = {{input_shape}}  # channels, height, width
MAX_VALUE = {{max_value}}  # of a white pixel; black is 0


{{preparation_class}}

{{network_classes}}
class Model(nn.Module):
    """Pixels as stored in, probabilities out: the mean of the networks' softmax outputs."""

    def __init__(self):
        super().__init__()
        self.preparation = Preparation()
{{members}}

    def logits(self, images):
        """The logits of each network, networks x batch x classes; `images` batch x channels x height x width."""
        x = self.preparation(images)
        return torch.stack([network(x) for network in [{{member_names}}]])

    def forward(self, images):
        return self.logits(images).softmax(dim=-1).mean(dim=0)

    @classmethod
    def load(cls, path=pathlib.Path(__file__).with_name("model.safetensors")):
        model = cls()
        model.load_state_dict(read_safetensors(path))
        return model.eval()


def read_safetensors(path):
    """The tensors of a safetensors file by name. (The package safetensors does the same.)"""
    types = {"F32": torch.float32, "U8": torch.uint8, "U16": torch.int16}
    data = bytearray(pathlib.Path(path).read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name != "__metadata__":
            first, last = entry["data_offsets"]
            values = torch.frombuffer(data[begin + first : begin + last], dtype=types[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"]).clone()
    return tensors


def main():
    here = pathlib.Path(__file__)
    stored = read_safetensors(sys.argv[1] if len(sys.argv) > 1 else here.with_name("reference.safetensors"))
    model = Model.load()
    difference, right = 0.0, 0
    with torch.inference_mode():
        for images, labels, expected in zip(
            stored["images"].split(100), stored["labels"].split(100), stored["logits"].split(100, dim=1)
        ):
            logits = model.logits(images)
            difference = max(difference, (logits - expected).abs().max().item())
            right += (model(images).argmax(dim=1) == labels).sum().item()
    images = len(stored["images"])
    largest = max(1.0, stored["logits"].abs().max().item())
    print(json.dumps({"images": images, "max_difference": difference, "accuracy": right / images}))
    if not difference <= 1e-4 * largest:
        sys.exit("error: the logits are not those of the scored model")


if __name__ == "__main__":
    main()
