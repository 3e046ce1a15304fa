"""The shape of a recipe file: its tables, keys, types and defaults."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reward_bases.sources.reward_model import WINDOW

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A table without other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReferenceTable(Table):
    """A file of responses, or those of the bank."""

    file: Text | None = None
    bank: Literal[True] | None = None


class BankTable(Table):
    file: Text


class FunctionTable(Table):
    kind: Literal["function"]
    call: Text


class RewardModelTable(Table):
    kind: Literal["reward_model"]
    model: Text
    outputs: list[Name] | None = None
    device: Text = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    window: Annotated[int, Field(ge=16)] = WINDOW


class JudgeTable(Table):
    """``key`` names an environment variable. Change ``revision`` when the model behind the address is another one.

    ``timeout`` is of one call, in seconds; ``per_minute`` limits calls, ``max_tokens`` each reply.
    """

    kind: Literal["judge"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")]
    model: Text
    rubric: Text
    revision: str = ""
    key: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    timeout: Positive = 60.0
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    per_minute: Positive | None = None
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    shared: bool = False


SourceTable = Annotated[FunctionTable | JudgeTable | RewardModelTable, Field(discriminator="kind")]


class HeadTable(Table):
    """``column``, or ``columns`` with a weight for each; ``std`` is 1 unless given, 0 where the head is protected."""

    low: Text
    high: Text
    column: Text | None = None
    columns: Annotated[dict[str, Finite], Field(min_length=1)] | None = None
    sign: Literal[1, -1] = 1
    protected: bool = False
    aggregate: Finite = 0.0
    std: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class RecipeTable(Table):
    """The whole file."""

    reference: ReferenceTable = ReferenceTable(bank=True)
    include: Annotated[list[Text], Field(max_length=1)] = ["default"]
    bank: BankTable | None = None
    sources: dict[Name, SourceTable] = {}
    heads: dict[Name, HeadTable] = {}
