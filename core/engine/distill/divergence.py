"""The divergence of a student's probabilities from a teacher's, both softened by a temperature."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def softened_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of logits [N, C] divided by T, mean over the batch; a scalar.

    T² keeps the gradient's magnitude when T changes (Hinton, Vinyals & Dean 2015, arXiv:1503.02531, section 2).
    """
    learned = F.log_softmax(student / temperature, dim=1)
    taught = F.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * F.kl_div(learned, taught, reduction="batchmean", log_target=True)
