"""Converts a torch network in memory to one that OpenVINO runs on this CPU.

OpenVINO's `convert_model` reports its use over the network. The frontend behind it, which is called
here, does not.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import openvino
import torch
from openvino._offline_transformations import compress_model_transformation
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

from deployments.diffusion.weights.sources import WeightsError


class CompiledNetwork:
    """A network that was converted, compiled, and run once so that its weights are packed.

    One thread may run it at a time.

    Args:
        what: Its name, for messages.
        network: Takes tensors, and returns a tensor or a tuple of them.
        inputs: Examples; other sizes and other numbers of rows work too.
        bf16: Compute in bfloat16, else in float32.
        threads: Threads of a forward pass.
        release: Modules whose weights are freed; they cannot run afterwards. OpenVINO keeps the
            weights from which it packs. If it computes in bfloat16, these are a float16 copy then.

    Raises:
        WeightsError: OpenVINO cannot run this network.
    """

    def __init__(
        self,
        what: str,
        network: torch.nn.Module,
        inputs: Sequence[torch.Tensor],
        *,
        bf16: bool,
        threads: int,
        release: Sequence[torch.nn.Module] = (),
    ) -> None:
        options = {
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads of two replicas would share one core and leave others idle.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            model = _convert(network, inputs)
            if release and bf16:
                compress_model_transformation(model)
            for module in release:
                module.to("meta")
            compiled = openvino.Core().compile_model(model, "CPU", options)
            self._request = compiled.create_infer_request()
            self(inputs)
        except Exception as error:
            reason = " ".join(str(error).split())[:300].rstrip(".")
            raise WeightsError(
                f"backend: OpenVINO cannot run the {what} of these weights; set backend to torch: "
                f"{reason}"
            ) from error

    def __call__(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Run it; the float32 outputs are views that hold until it runs again."""
        arrays = [tensor.float().contiguous().numpy() for tensor in inputs]
        outputs = self._request.infer(arrays, share_inputs=True, share_outputs=True)
        return [torch.from_numpy(output) for output in outputs.values()]


def _convert(network: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> Any:  # noqa: ANN401
    """Trace a network and turn the trace into an OpenVINO model."""
    if any(tensor.dtype != torch.float32 for tensor in network.parameters()):
        network = copy.deepcopy(network).float()
    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of each Python number that it takes as a constant.
        warnings.simplefilter("ignore")
        traced = TorchScriptPythonDecoder(
            network.eval(),
            example_input=tuple(tensor.float() for tensor in inputs),
            # The check would run the network twice more.
            trace_kwargs={"check_trace": False},
        )
        return frontend.convert(frontend.load(traced))
