"""The export of notifier plugins."""

from componentize_py_types import Err  # noqa: F401  (the tool chain wants the types of the exports)
from wit_world import exports
from wit_world.exports import notifier as wit

from .. import host, notices
from .failures import exported
from .host import ComponentHost
from .values import lifted


def chosen() -> notices.Notifier:
    if notices.Notifier.chosen is None:
        raise TypeError("the plugin defines no subclass of `Notifier`")
    return notices.Notifier.chosen()


class Notifier(exports.Notifier):
    """The name is the interface's: the tool chain looks for it."""

    def notify(self, notice: wit.Notice) -> wit.Receipt:
        return exported(lambda: wit.Receipt(chosen().notify(lifted(notice, notices))))

    def poll_reply(self, external_id: str) -> str | None:
        return exported(lambda: chosen().poll_reply(external_id))


host.use(ComponentHost())
