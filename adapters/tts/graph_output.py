"""Inner tensors of a serialised ONNX graph as outputs: what a model computes inside, such as durations."""

from typing import Final

_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1  # field numbers of ModelProto, GraphProto and ValueInfoProto
_ONE_BYTE_LENGTH: Final = 127


def one_more_output(tensor: str) -> bytes:
    """Bytes that, put after a serialised ONNX model, make an inner tensor an output of its graph.

    Protocol buffers merge what is concatenated; this saves a dependency on `onnx`.
    """
    return _field(_MODEL_GRAPH, _field(_GRAPH_OUTPUT, _field(_VALUE_NAME, tensor.encode())))


def _field(number: int, content: bytes) -> bytes:
    if len(content) > _ONE_BYTE_LENGTH:  # one byte of length is all that is needed here
        raise ValueError("a name of more than 127 bytes")
    return bytes([number << 3 | 2, len(content)]) + content
