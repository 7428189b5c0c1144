"""People, limits and the heartbeat while the loop works: requests obeyed, notices sent, why it ended."""

from autoresearch.engine.control.attendant import Attendant, Ended
from autoresearch.engine.control.inbox import drain
from autoresearch.engine.control.notify import Notifier, notice_of
