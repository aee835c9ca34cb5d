"""The optimiser: the kernel of `torch.optim.Adam(fused=True)`, called directly."""

import torch

SETTINGS = {
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.0,
    "eps": 1e-8,
    "amsgrad": False,
    "maximize": False,
    "grad_scale": None,
    "found_inf": None,
}  # the defaults of torch.optim.Adam


class Adam:
    """Adam with PyTorch's defaults, to the bit what `torch.optim.Adam(parameters, lr, fused=True)` does.

    That class imports PyTorch's compiler with its first step, which is not used here and takes a training
    process a second, and goes through a tenth of a millisecond of Python at every step.
    parameters: tensors on one device, each with its gradient in .grad.
    """

    def __init__(self, parameters, learning_rate):
        self.parameters, self.learning_rate = list(parameters), learning_rate
        self.averages = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in self.parameters]

    def step(self):
        """Change the parameters, in place."""
        torch._foreach_add_(self.steps, 1)
        gradients = [parameter.grad for parameter in self.parameters]
        torch._fused_adam_(
            self.parameters, gradients, self.averages, self.squares, [], self.steps,
            lr=self.learning_rate, **SETTINGS,
        )  # fmt: skip

    def state_dict(self):
        """{name: a tensor a parameter}; the tensors themselves."""
        return {"averages": self.averages, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state):
        """Take over the numbers of a `state_dict`, whatever device its tensors are on."""
        for name, own in self.state_dict().items():
            for tensor, saved in zip(own, state[name], strict=True):
                tensor.copy_(saved)
