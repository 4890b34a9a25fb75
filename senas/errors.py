"""One exception tree: every mistake that a user can make ends in one of these, with one line that says the way out."""


class SenasError(Exception):
    """Base of all errors that senas raises on purpose. Its text is one line: rule broken, value seen, way out."""


class ConfigError(SenasError, ValueError):
    """A key, a value or a command that senas does not know or cannot accept."""


class SpaceError(SenasError, ValueError):
    """An SE block, an SE configuration or a search space that cannot be."""


class ScoreError(SenasError, ValueError):
    """A score without a rank: NaN, infinite, or missing."""


class SurgeryError(SenasError):
    """A network that cannot be traced, or a configuration that does not fit it."""


class DataError(SenasError):
    """Images that are missing, unreadable or of the wrong kind."""


class StudyError(SenasError):
    """A study that does not exist, is in use, or differs from the one asked for."""


class EvaluationError(SenasError):
    """Training failed in the same way too often to go on."""


class ExportError(SenasError):
    """An exported configuration that cannot be written, read or trusted."""
