"""The contract between the evaluator and a submission."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence


class ShopBenchBaseModel(ABC):
    """What the evaluator calls: a constructor without arguments and the two methods below."""

    @abstractmethod
    def get_batch_size(self) -> int:
        """Return how many prompts the next call of `batch_predict` may hold, 1 to 16."""

    @abstractmethod
    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Answer `batch["prompt"]`: one string a prompt, in order, whatever happens.

        Args:
            batch: `{"prompt": [str, ...]}` and nothing else.
            is_multiple_choice: true when all prompts of the batch are multiple-choice questions.
        """
