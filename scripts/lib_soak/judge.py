"""What is wrong with an answer, given the file that was asked for and the versions it had."""

from lib_soak import answers, content


class Violation(Exception):
    """The server did what it must not do."""


# What a request for a file of this class may get besides the file.
OTHER_STATUSES = {
    "still": set(),
    "moved": set(),
    # 500: it was rewritten each time that it was read.
    "written": {500},
    "coming": {404},
    "closed": {403},
}

# Classes whose files are not what they were, judged by size and time, while they are sent.
CUT_OFF = {"written", "closed"}


def group(name):
    """The class of a file."""
    return name.partition("-")[0]


def judge(name, answer, versions, usual, scarce):
    """Violation, unless `answer` is one of the `usual` statuses with bytes of one of `versions`, or
    a failure that this class of file, or a scarcity, can cause."""
    if answer.status in usual:
        judge_body(name, answer, versions)
    elif answer.status not in OTHER_STATUSES[group(name)] | ({503} if scarce else set()):
        raise Violation(f"{name}: status {answer.status} instead of {sorted(usual)}")


def judge_body(name, answer, versions):
    """Violation, unless the bytes of a 200 or 206 are of one version, and of its length."""
    if answer.status == 200:
        judge_piece(name, answer.body, 0, answer.length, versions)
    elif answer.status == 206:
        if b"content-range" in answer.fields:
            first, last, complete = answers.content_range(answer.fields)
            if last - first + 1 != answer.length:
                raise Violation(f"{name}: {answer.length} bytes for the range {first}-{last}")
            judge_piece(name, answer.body, first, complete, versions)
            return
        seen = set()
        for part in answers.parts(answer):
            judge_piece(name, part.content, part.first, part.complete, versions)
            seen.add((part.complete, content.version_of(part.content)))
        if len({version for _, version in seen if version is not None}) > 1:
            raise Violation(f"{name}: parts of several versions: {seen}")


def judge_cut_off(name, answer, versions):
    """The same for a body that is not all there: what came must be right."""
    if answer.status == 200:
        judge_piece(name, answer.body, 0, answer.length, versions)
    elif answer.status == 206 and b"content-range" in answer.fields:
        first, _, complete = answers.content_range(answer.fields)
        judge_piece(name, answer.body, first, complete, versions)


def judge_piece(name, data, at, complete, versions):
    """Violation, unless `data` stands at `at` in one of `versions`, and that has `complete` bytes.

    A file that is being rewritten in place may be seen with a beginning of its new version.
    """
    trouble = content.fault(name, data, at, versions)
    if trouble:
        raise Violation(f"{name}, {len(data)} bytes from {at} of {complete}: {trouble}")
    version = content.version_of(data)
    sizes = {content.size(name, one) for one in (versions if version is None else [version])}
    if complete in sizes or group(name) == "written" and complete < max(sizes):
        return
    raise Violation(f"{name}: {complete} bytes, which is the size of no version that it may be")
