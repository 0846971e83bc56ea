"""Logits, stage features and embedding of a network from one forward pass, by hooks; all are differentiable."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from core.engine.backbones.heads import head_name
from core.engine.backbones.stages import Stage, stages, trace
from core.engine.output import Output

__all__ = ["Observer", "observe", "stages"]


class Observer:
    """Calls a network and returns its Output; its hooks stay from the first images until `close` or the block's end.

    The stages and the head are found once, on `example` or otherwise on the first images. With `features=False` the
    Output holds logits only. The embedding is the input of the head, averaged if the head is a convolution (squeezenet)
    or gets tokens.
    """

    def __init__(self, net: nn.Module, example: Tensor | None = None, *, features: bool = True) -> None:
        self.net = net
        self.features = features
        self._stages: tuple[Stage, ...] = ()
        self._handles: list[RemovableHandle] = []
        self._seen: dict[str, Tensor] = {}
        self._head_input: Tensor | None = None
        if example is not None and features:
            self._attach(example)

    def __call__(self, images: Tensor) -> Output:
        """The Output for `images` [N, C, H, W], in the network's own mode."""
        if not self.features:
            return Output(self.net(images))
        if not self._handles:
            self._attach(images)
        try:
            logits = self.net(images)
            features = [_channels_first(self._seen[stage.name], stage) for stage in self._stages]
            return Output(logits, features, None if self._head_input is None else _pooled(self._head_input))
        finally:
            self._seen.clear()
            self._head_input = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Removes the hooks from the network; calling the Observer again would add them."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _attach(self, example: Tensor) -> None:
        head = head_name(self.net, example)
        self._stages = trace(self.net, example, head)
        self._handles.append(self.net.get_submodule(head).register_forward_pre_hook(self._keep_input))
        for stage in self._stages:
            self._handles.append(self.net.get_submodule(stage.name).register_forward_hook(self._keeper(stage.name)))

    def _keep_input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._head_input = inputs[0]

    def _keeper(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            self._seen[name] = output

        return keep


def observe(net: nn.Module, images: Tensor) -> Output:
    """The Output of `net` for one batch; in a loop, use an Observer, which traces only once."""
    with Observer(net, images) as observer:
        return observer(images)


def _channels_first(feature: Tensor, stage: Stage) -> Tensor:
    return feature.permute(0, 3, 1, 2) if stage.channels_last else feature


def _pooled(inputs: Tensor) -> Tensor:
    if inputs.ndim == 4:
        return inputs.mean((2, 3))
    return inputs.mean(1) if inputs.ndim == 3 else inputs
