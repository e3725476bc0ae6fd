"""Checks a response against the requested file and the versions that the file had."""

from lib_soak import answers, content


class Violation(Exception):
    """The server violated its contract."""


# Statuses that a file of this class can cause, besides the usual ones.
OTHER_STATUSES = {
    "still": set(),
    "moved": set(),
    # 500: the file was rewritten during each attempt to read it.
    "written": {500},
    "coming": {404},
    "closed": {403},
}

# Classes whose files change in size or time while they are sent, so responses may be cut off.
CUT_OFF = {"written", "closed"}


def group(name):
    """The class of a file."""
    return name.partition("-")[0]


def judge(name, answer, versions, usual, scarce):
    """Raises Violation unless `answer` has one of the `usual` statuses with bytes of one of
    `versions`, or a failure that this class of file, or scarce resources, can cause."""
    if answer.status in usual:
        judge_body(name, answer, versions)
    elif answer.status not in OTHER_STATUSES[group(name)] | ({503} if scarce else set()):
        raise Violation(f"{name}: status {answer.status} instead of {sorted(usual)}")


def judge_body(name, answer, versions):
    """Raises Violation unless the body of a 200 or 206 belongs to one version and has its
    length."""
    if answer.status == 200:
        judge_piece(name, answer.body, 0, answer.length, versions)
    elif answer.status == 206:
        if b"content-range" in answer.fields:
            first, last, complete = answers.content_range(answer.fields)
            if last - first + 1 != answer.length:
                raise Violation(
                    f"{name}: Content-Length {answer.length} for the range {first}-{last}"
                )
            judge_piece(name, answer.body, first, complete, versions)
            return
        seen = set()
        for part in answers.parts(answer):
            judge_piece(name, part.content, part.first, part.complete, versions)
            seen.add((part.complete, content.version_of(part.content)))
        if len({version for _, version in seen if version is not None}) > 1:
            raise Violation(f"{name}: the parts belong to several versions: {seen}")


def judge_cut_off(name, answer, versions):
    """The same for an incomplete body: the bytes received must be right."""
    if answer.status == 200:
        judge_piece(name, answer.body, 0, answer.length, versions)
    elif answer.status == 206 and b"content-range" in answer.fields:
        first, _, complete = answers.content_range(answer.fields)
        judge_piece(name, answer.body, first, complete, versions)


def judge_piece(name, data, at, complete, versions):
    """Raises Violation unless `data` is at offset `at` in one of `versions`, and that version has
    `complete` bytes.

    A file that is being rewritten in place may appear with only the start of its new version.
    """
    trouble = content.fault(name, data, at, versions)
    if trouble:
        raise Violation(f"{name}, {len(data)} bytes from {at} of {complete}: {trouble}")
    version = content.version_of(data)
    sizes = {content.size(name, one) for one in (versions if version is None else [version])}
    if complete in sizes or group(name) == "written" and complete < max(sizes):
        return
    raise Violation(f"{name}: the length {complete} is not the size of an allowed version")
