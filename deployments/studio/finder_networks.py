"""Runs a finder's ONNX network: ONNX Runtime on a CPU or on CUDA, OpenVINO on a CPU."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from deployments import telemetry
from deployments.finder_settings import FinderSettings
from deployments.studio.finder_weights import FinderError, FinderMissing

Floats = npt.NDArray[np.float32]
Shape = Sequence[int | None]

CUDA = "CUDAExecutionProvider"
NO_CUDA = (
    "finder.device: cuda needs ONNX Runtime's build for CUDA, the package onnxruntime-gpu in place "
    "of onnxruntime"
)
NO_OPENVINO = "finder.runtime: openvino needs the package openvino, which is not installed"
_LONGEST_REASON = 200


class Network(Protocol):
    """A loaded network; safe to call from several threads."""

    def run(self, values: Floats) -> Floats:
        """One forward pass.

        Args:
            values: float32 [1, 3, height, width].

        Returns:
            The output that counts, of the network's own shape.
        """


def load_network(model: bytes, name: str, settings: FinderSettings) -> Network:
    """Load a network, and check that it fits its settings.

    Args:
        model: An ONNX file.
        name: What sentences call it.
        settings: Device, runtime and threads, and what the network wants to see.

    Raises:
        FinderError: It cannot run there, or its input or outputs are others.
    """
    if runs_openvino(settings):
        return OpenVINONetwork(model, name, settings)
    return OnnxNetwork(model, name, settings)


def runs_openvino(settings: FinderSettings) -> bool:
    """Whether OpenVINO runs the network.

    Raises:
        FinderError: It is asked for, and is not installed.
    """
    # There are processors for which openvino has no wheel.
    installed = importlib.util.find_spec("openvino") is not None
    if settings.runtime == "openvino" and not installed:
        raise FinderMissing(NO_OPENVINO)
    return settings.device == "cpu" and settings.runtime != "onnxruntime" and installed


def lacks_cuda() -> bool:
    """Whether this environment's ONNX Runtime is not the build for CUDA."""
    return CUDA not in _onnxruntime().get_available_providers()


class OnnxNetwork:
    """A network in ONNX Runtime.

    Args:
        model: As in `load_network`.
        name: As there.
        settings: As there.

    Raises:
        FinderError: As there.
    """

    def __init__(self, model: bytes, name: str, settings: FinderSettings) -> None:
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # what it warns of goes past our log
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        # The arena would keep 170 MB more between calls, and is hardly faster.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if settings.device == "cuda":
            if lacks_cuda():
                raise FinderError(NO_CUDA)
            # Of the packages that torch or pip brought; it says nothing of what is missing.
            onnxruntime.preload_dlls()
            # It takes what it needs of the GPU, and not twice as much each time.
            providers.insert(0, (CUDA, {"arena_extend_strategy": "kSameAsRequested"}))
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:
            raise FinderError(
                f"finder.weights: ONNX Runtime cannot load {name}: {reason_of(error)}"
            ) from None
        if settings.device == "cuda" and CUDA not in self._session.get_providers():
            raise FinderError(
                "finder.device: cuda cannot be used: ONNX Runtime finds no GPU here, or not its "
                "libraries of CUDA and cuDNN"
            )
        # A run that fails on the GPU would be repeated on the CPU, and all later ones with it.
        self._session.disable_fallback()
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        _check_input(name, [(each.name, _shape(each.shape)) for each in inputs], settings)
        kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
        if inputs[0].type not in kinds:
            raise FinderError(
                f"finder.weights: {name} takes {inputs[0].type}, and not float or float16"
            )
        self._kind = kinds[inputs[0].type]
        self._input = inputs[0].name
        names = [each.name for each in outputs]
        self._output = names[_output_place(name, names, settings.preparation.output)]

    def run(self, values: Floats) -> Floats:
        """See `Network.run`."""
        feed = {self._input: values.astype(self._kind, copy=False)}
        (output,) = self._session.run([self._output], feed)
        return np.asarray(output, np.float32)


class OpenVINONetwork:
    """A network in OpenVINO, on a CPU, in float32.

    Args:
        model: As in `load_network`.
        name: As there.
        settings: As there.

    Raises:
        FinderError: As there.
    """

    def __init__(self, model: bytes, name: str, settings: FinderSettings) -> None:
        telemetry.stop()
        import openvino

        try:
            core = openvino.Core()
            network = core.read_model(model, b"")
        except Exception as error:
            raise FinderError(
                f"finder.weights: OpenVINO cannot read {name}: {reason_of(error)}"
            ) from None
        inputs = [(each.get_any_name(), each.get_partial_shape()) for each in network.inputs]
        _check_input(
            name,
            [
                (called, [None if side.is_dynamic else side.get_length() for side in shape])
                for called, shape in inputs
                if shape.rank.is_static
            ],
            settings,
        )
        names = [each.get_any_name() for each in network.outputs]
        self._output = _output_place(name, names, settings.preparation.output)
        width, height = settings.preparation.size
        try:
            # What has a fixed shape is planned once.
            network.reshape([1, 3, height, width])
            self._compiled = core.compile_model(
                network,
                "CPU",
                {
                    # Else it computes in bfloat16 where the processor has it, and marks differ.
                    "INFERENCE_PRECISION_HINT": "f32",
                    "INFERENCE_NUM_THREADS": settings.threads,
                    "NUM_STREAMS": 1,
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except Exception as error:
            raise FinderError(
                f"finder.runtime: OpenVINO cannot run {name}, onnxruntime may: {reason_of(error)}"
            ) from None
        self._kind = self._compiled.inputs[0].get_element_type().to_dtype()
        # A request is for one thread at a time. So there are as many as threads ever met here.
        self._requests: deque[Any] = deque()

    def run(self, values: Floats) -> Floats:
        """See `Network.run`."""
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            request.infer([values.astype(self._kind, copy=False)])
            return np.array(request.get_output_tensor(self._output).data, np.float32)
        finally:
            self._requests.append(request)


def _onnxruntime() -> ModuleType:
    telemetry.stop()
    import onnxruntime

    return onnxruntime  # type: ignore[no-any-return]


def _shape(told: Sequence[object]) -> Shape:
    return [side if isinstance(side, int) else None for side in told]


def _check_input(name: str, inputs: Sequence[tuple[str, Shape]], settings: FinderSettings) -> None:
    width, height = settings.preparation.size
    wanted = (1, 3, height, width)
    if len(inputs) != 1:
        raise FinderError(f"finder.weights: {name} takes {len(inputs)} inputs, and not one")
    (called, shape) = inputs[0]
    if len(shape) != 4 or any(
        side not in (None, side_wanted) for side, side_wanted in zip(shape, wanted, strict=True)
    ):
        told = ", ".join("any" if side is None else str(side) for side in shape)
        raise FinderError(
            f"finder.size: the input {called} of {name} is [{told}], and not "
            f"[1, 3, {height}, {width}]"
        )


def _output_place(name: str, names: Sequence[str], wanted: int | str) -> int:
    if isinstance(wanted, int) and wanted < len(names):
        return wanted
    if wanted in names:
        return list(names).index(str(wanted))
    raise FinderError(f"finder.output: {name} has no output {wanted!r}; it has {', '.join(names)}")


def reason_of(error: Exception) -> str:
    """What a runtime says, in one short line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:_LONGEST_REASON].rstrip(" .") if lines else type(error).__name__
