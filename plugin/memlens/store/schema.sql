-- memlens results, schema version 1.
--
-- Sizes are bytes. Times are UTC, as ISO 8601 text with microseconds. Lines count from 1.
-- Paths use "/" and are relative to the run's rootdir when inside it, absolute otherwise.
--
-- PRAGMA application_id is 0x4D4C454E ("MLEN"), PRAGMA user_version the schema's version.
--
-- History of versions:
--   1  the first

-- One pytest run.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    uuid         TEXT    NOT NULL UNIQUE,   -- the same run in every copy of the results
    started      TEXT    NOT NULL,
    finished     TEXT,                      -- NULL while it runs; if it was killed, for ever or
                                            -- until what it had measured was saved
    status       TEXT    NOT NULL CHECK (status IN ('running', 'finished', 'interrupted')),
    exit_status  INTEGER,                   -- pytest's, once finished
    command_line TEXT    NOT NULL,          -- pytest's arguments, a JSON list of strings
    rootdir      TEXT    NOT NULL,          -- absolute, on the machine that ran it
    versions     TEXT    NOT NULL,          -- JSON object: memlens, memray, pytest, python, platform
    git_commit   TEXT,                      -- full hash; NULL outside a git work tree
    git_dirty    INTEGER,                   -- 1 if tracked files differed from that commit
    collected    INTEGER                    -- tests selected to run; NULL before collection ended
);
CREATE INDEX run_running ON run (uuid) WHERE status = 'running';

-- One measured test of a run. The newest row of a path and name is what is true of that test now.
-- Not of a node id: outside the rootdir that depends on how pytest was started.
CREATE TABLE test (
    id       INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    nodeid   TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    name     TEXT    NOT NULL,              -- the node id after the file: TestCart::test_total[2]
    line     INTEGER NOT NULL,              -- the line that names the test (its "def")
    outcome  TEXT    NOT NULL,              -- passed, failed, skipped, xfailed or xpassed
    duration REAL    NOT NULL,              -- seconds, all phases
    worker   TEXT                           -- pytest-xdist's worker id, NULL without it
);
CREATE INDEX test_by_name ON test (path, name, id, run);
CREATE INDEX test_by_run ON test (run);

-- What one phase of a test took. The call is always there; set-up and teardown are if they were
-- measured.
CREATE TABLE phase (
    test            INTEGER NOT NULL REFERENCES test (id) ON DELETE CASCADE,
    name            TEXT    NOT NULL CHECK (name IN ('setup', 'call', 'teardown')),
    peak_bytes      INTEGER NOT NULL,       -- the most that was alive at once
    allocated_bytes INTEGER,                -- sum of all allocations; NULL if they were not counted
    allocations     INTEGER,                -- their number, likewise
    alive_bytes     INTEGER NOT NULL,       -- allocated in the phase and alive at its end
    histogram       TEXT    NOT NULL,       -- allocations by size, a JSON list: 0-1 B, 2-3 B, 4-7 B…
    PRIMARY KEY (test, name)
) WITHOUT ROWID;
-- They are few: tests that are measured without counting allocations when they run again.
CREATE INDEX phase_heavy ON phase (test) WHERE name = 'call' AND allocations >= 100000;

-- One limit that the test declared, and how it went.
CREATE TABLE limit_check (
    id             INTEGER PRIMARY KEY,
    test           INTEGER NOT NULL REFERENCES test (id) ON DELETE CASCADE,
    marker         TEXT    NOT NULL,        -- the marker's name, or fail_on_increase
    limit_bytes    INTEGER NOT NULL,        -- 0 for limit_leaked_objects, which allows none
    measured_bytes INTEGER NOT NULL,        -- the peak, the largest leaking stack, all leaked objects
    verdict        TEXT    NOT NULL CHECK (verdict IN ('passed', 'exceeded', 'not_judged')),
    message        TEXT    NOT NULL         -- one sentence for people
);
CREATE INDEX limit_check_by_test ON limit_check (test);
CREATE INDEX limit_check_exceeded ON limit_check (test) WHERE verdict = 'exceeded';

-- Call stacks worth keeping: the biggest at the peak, every one that leaks, and the biggest at the
-- peak of a set-up or teardown that held much.
CREATE TABLE stack (
    id          INTEGER PRIMARY KEY,
    test        INTEGER NOT NULL REFERENCES test (id) ON DELETE CASCADE,
    kind        TEXT    NOT NULL CHECK (kind IN ('peak', 'leak', 'setup', 'teardown')),
    bytes       INTEGER NOT NULL,
    allocations INTEGER NOT NULL,
    frames      TEXT    NOT NULL,           -- frame ids, the most recent call first, a JSON list
    site        INTEGER REFERENCES frame (id) -- the first of them that is the project's own code;
                                            -- NULL if none is
);
CREATE INDEX stack_by_test ON stack (test, kind);
CREATE INDEX stack_by_site ON stack (site, bytes);

-- A place in code, stored once however many stacks pass it.
CREATE TABLE frame (
    id       INTEGER PRIMARY KEY,
    function TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    line     INTEGER NOT NULL,              -- 0 where a native frame has none
    kind     TEXT    NOT NULL CHECK (kind IN ('project', 'library', 'native')),
    UNIQUE (path, line, function, kind)
);

-- The text of a file as it was when measured, stored once a content.
CREATE TABLE source (
    id     INTEGER PRIMARY KEY,
    path   TEXT    NOT NULL,
    digest TEXT    NOT NULL,                -- SHA-256 of the text as UTF-8, hexadecimal
    text   TEXT    NOT NULL,
    UNIQUE (path, digest)
);

-- Which text a run saw, for each file that its frames and tests name.
CREATE TABLE run_source (
    run    INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    path   TEXT    NOT NULL,
    source INTEGER NOT NULL REFERENCES source (id),
    PRIMARY KEY (run, path)
) WITHOUT ROWID;
CREATE INDEX run_source_by_source ON run_source (source);

-- How much pytest's ini file said to keep when a run last ended here: memray_history (results of
-- each test) and memray_history_size (bytes). `memlens gc` keeps as much.
CREATE TABLE setting (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
