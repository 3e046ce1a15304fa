"""The service with one more route, which returns a constant: ``python -m bench.studies.doors_server PORT FOLDER``."""

import sys
from pathlib import Path

import uvicorn

from app.http.api import default_app
from app.http.dialects.openrlhf import GetReward, Rewarded
from app.settings import Settings

REWARD, SCORE = 0.44735210532658176, 0.8446497588174953
CONSTANT = Rewarded(rewards=[REWARD], scores=[SCORE], extra_logs={"keel_score": [SCORE]})


async def constant(request: GetReward) -> Rewarded:
    """The models, middleware and worker of /get_reward, and a reply of its size."""
    return CONSTANT


def main(port: int, folder: Path) -> None:
    """Serve until terminated."""
    app = default_app(Settings(port=port, data_dir=folder))
    app.post("/constant")(constant)
    app.router.routes.insert(0, app.router.routes.pop())  # found as soon as /get_reward
    uvicorn.run(app, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
