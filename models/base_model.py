"""The contract between the evaluator and a submission."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence


class ShopBenchBaseModel(ABC):
    """The interface that the evaluator calls: a constructor without arguments, and these two methods."""

    @abstractmethod
    def get_batch_size(self) -> int:
        """Return the most prompts for the next call of `batch_predict`, 1 to 16."""

    @abstractmethod
    def batch_predict(self, batch: Mapping[str, Sequence[str]], is_multiple_choice: bool) -> list[str]:
        """Answer every prompt of the batch: one string for each, in order, whatever happens.

        Args:
            batch: `{"prompt": [str, ...]}` and nothing else.
            is_multiple_choice: true when all prompts of the batch are multiple-choice questions.
        """
