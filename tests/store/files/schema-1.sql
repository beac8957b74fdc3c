PRAGMA application_id = 1296844110;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE frame (
    id       INTEGER PRIMARY KEY,
    function TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    line     INTEGER NOT NULL,              -- 0 where a native frame has none
    kind     TEXT    NOT NULL CHECK (kind IN ('project', 'library', 'native')),
    UNIQUE (path, line, function, kind)
);
INSERT INTO "frame" VALUES(1,'load','shop.py',4,'project');
INSERT INTO "frame" VALUES(2,'test_within','test_shop.py',10,'project');
INSERT INTO "frame" VALUES(3,'stock','test_shop.py',6,'project');
INSERT INTO "frame" VALUES(4,'test_exceeds','test_shop.py',14,'project');
INSERT INTO "frame" VALUES(5,'remember','shop.py',7,'project');
INSERT INTO "frame" VALUES(6,'test_leaks','test_shop.py',18,'project');
INSERT INTO "frame" VALUES(7,'PyByteArray_Resize','Objects/bytearrayobject.c',233,'native');
INSERT INTO "frame" VALUES(8,'bytearray___init___impl','Objects/bytearrayobject.c',821,'native');
INSERT INTO "frame" VALUES(9,'bytearray___init__','Objects/clinic/bytearrayobject.c.h',68,'native');
INSERT INTO "frame" VALUES(10,'type_call','Objects/typeobject.c',1103,'native');
INSERT INTO "frame" VALUES(11,'_PyObject_MakeTpCall','Objects/call.c',214,'native');
INSERT INTO "frame" VALUES(12,'test_plain','test_shop.py',22,'project');
CREATE TABLE limit_check (
    id             INTEGER PRIMARY KEY,
    test           INTEGER NOT NULL REFERENCES test (id) ON DELETE CASCADE,
    marker         TEXT    NOT NULL,        -- the marker's name, or fail_on_increase
    limit_bytes    INTEGER NOT NULL,        -- 0 for limit_leaked_objects, which allows none
    measured_bytes INTEGER NOT NULL,        -- the peak, the largest leaking stack, all leaked objects
    verdict        TEXT    NOT NULL CHECK (verdict IN ('passed', 'exceeded', 'not_judged')),
    message        TEXT    NOT NULL         -- one sentence for people
);
INSERT INTO "limit_check" VALUES(1,1,'limit_memory',1048576,100001,'passed','Peak memory of 97.7 KiB is below the limit of 1.0 MiB');
INSERT INTO "limit_check" VALUES(2,2,'limit_memory',1048576,2000001,'exceeded','Peak memory of 1.9 MiB is over the limit of 1.0 MiB');
INSERT INTO "limit_check" VALUES(3,3,'limit_leaks',102400,300001,'exceeded','Leaked 293.0 KiB from 1 call stack, over the limit of 100.0 KiB for each');
INSERT INTO "limit_check" VALUES(4,7,'limit_memory',1048576,100001,'passed','Peak memory of 97.7 KiB is below the limit of 1.0 MiB');
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
INSERT INTO "phase" VALUES(1,'call',100001,100001,1,0,'[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(1,'setup',3013695,3013695,21,3013695,'[0,0,0,0,1,1,0,0,1,15,2,0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(1,'teardown',1786,1787,6,1785,'[2,0,0,0,1,1,0,0,0,2]');
INSERT INTO "phase" VALUES(2,'call',2000001,2000001,1,0,'[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(2,'setup',399,399,3,399,'[0,0,0,0,1,1,0,0,1]');
INSERT INTO "phase" VALUES(2,'teardown',82,82,2,82,'[0,0,0,0,1,1]');
INSERT INTO "phase" VALUES(3,'call',300173,NULL,NULL,300173,'[]');
INSERT INTO "phase" VALUES(3,'setup',397,397,3,397,'[0,0,0,0,1,1,0,0,1]');
INSERT INTO "phase" VALUES(4,'call',1611,1611,2,610,'[0,0,0,0,0,0,0,0,0,2]');
INSERT INTO "phase" VALUES(4,'setup',7280,7280,9,7280,'[0,0,0,0,1,1,0,0,1,3,2,1]');
INSERT INTO "phase" VALUES(4,'teardown',86,87,4,85,'[2,0,0,0,1,1]');
INSERT INTO "phase" VALUES(5,'call',2001,2001,1,0,'[0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(5,'setup',405,405,3,405,'[0,0,0,0,1,1,0,0,1]');
INSERT INTO "phase" VALUES(5,'teardown',89,90,4,88,'[2,0,0,0,1,0,1]');
INSERT INTO "phase" VALUES(6,'call',0,0,0,0,'[]');
INSERT INTO "phase" VALUES(6,'setup',397,397,3,397,'[0,0,0,0,1,1,0,0,1]');
INSERT INTO "phase" VALUES(6,'teardown',81,82,4,80,'[2,0,0,0,1,1]');
INSERT INTO "phase" VALUES(7,'call',100001,100001,1,0,'[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(7,'setup',3013695,3013695,21,3013695,'[0,0,0,0,1,1,0,0,1,15,2,0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(7,'teardown',1786,1787,6,1785,'[2,0,0,0,1,1,0,0,0,2]');
INSERT INTO "phase" VALUES(8,'call',1611,1611,2,610,'[0,0,0,0,0,0,0,0,0,2]');
INSERT INTO "phase" VALUES(8,'setup',7280,7280,9,7280,'[0,0,0,0,1,1,0,0,1,3,2,1]');
INSERT INTO "phase" VALUES(8,'teardown',86,87,4,85,'[2,0,0,0,1,1]');
INSERT INTO "phase" VALUES(9,'call',2001,2001,1,0,'[0,0,0,0,0,0,0,0,0,0,1]');
INSERT INTO "phase" VALUES(9,'setup',405,405,3,405,'[0,0,0,0,1,1,0,0,1]');
INSERT INTO "phase" VALUES(9,'teardown',89,92,6,88,'[4,0,0,0,1,0,1]');
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
INSERT INTO "run" VALUES(1,'0bc72f46-a18e-4591-9300-955776e56071','2026-11-23T12:20:36.772502+00:00','2026-11-23T12:20:37.203425+00:00','finished',1,'["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--memray"]','/home/me/shop','{"memlens": "0.1.0", "memray": "1.20.0", "platform": "linux", "pytest": "9.2.0", "python": "3.11.7"}',NULL,NULL,6);
INSERT INTO "run" VALUES(2,'40a8e17a-0edc-4ddc-b1b6-a0a3cb737b0c','2026-11-23T12:20:42.303735+00:00','2026-11-23T12:20:42.378290+00:00','finished',0,'["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--memray", "-k", "plain or within"]','/home/me/shop','{"memlens": "0.1.0", "memray": "1.20.0", "platform": "linux", "pytest": "9.2.0", "python": "3.11.7"}',NULL,NULL,3);
CREATE TABLE run_source (
    run    INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    path   TEXT    NOT NULL,
    source INTEGER NOT NULL REFERENCES source (id),
    PRIMARY KEY (run, path)
) WITHOUT ROWID;
INSERT INTO "run_source" VALUES(1,'shop.py',1);
INSERT INTO "run_source" VALUES(2,'shop.py',1);
INSERT INTO "run_source" VALUES(1,'test_shop.py',2);
INSERT INTO "run_source" VALUES(2,'test_shop.py',2);
CREATE TABLE setting (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "setting" VALUES('memray_history',20);
INSERT INTO "setting" VALUES('memray_history_size',524288000);
CREATE TABLE source (
    id     INTEGER PRIMARY KEY,
    path   TEXT    NOT NULL,
    digest TEXT    NOT NULL,                -- SHA-256 of the text as UTF-8, hexadecimal
    text   TEXT    NOT NULL,
    UNIQUE (path, digest)
);
INSERT INTO "source" VALUES(1,'shop.py','19c9225a7e73508ed3b919a7a4f2e160c6de807455d07a70b55ca70124323287','KEPT = []

def load(size):
    return bytearray(size)

def remember(size):
    KEPT.append(bytearray(size))
');
INSERT INTO "source" VALUES(2,'test_shop.py','4ea04e6ea3701ea37408735dd5f0b00202e7e5797d2cb5fbacbc1973f9faf38e','import pytest
from shop import load, remember

@pytest.fixture
def stock():
    return load(3_000_000)

@pytest.mark.limit_memory("1 MB")
def test_within(stock):
    load(100_000)

@pytest.mark.limit_memory("1 MB")
def test_exceeds():
    load(2_000_000)

@pytest.mark.limit_leaks("100 KB")
def test_leaks():
    remember(300_000)

@pytest.mark.parametrize("size", [1, 2], ids=["one", "tw\u00f6"])
def test_plain(size):
    assert load(size * 1000) is not None

def test_skips():
    pytest.skip("not today")
');
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
INSERT INTO "stack" VALUES(1,1,'peak',100001,1,'[1,2]',1);
INSERT INTO "stack" VALUES(2,1,'setup',3000001,1,'[1,3]',1);
INSERT INTO "stack" VALUES(3,2,'peak',2000001,1,'[1,4]',1);
INSERT INTO "stack" VALUES(4,3,'peak',300057,2,'[5,6]',5);
INSERT INTO "stack" VALUES(5,3,'leak',300001,1,'[7,8,9,10,11,5,6]',5);
INSERT INTO "stack" VALUES(6,4,'peak',1001,1,'[1,12]',1);
INSERT INTO "stack" VALUES(7,4,'peak',610,1,'[]',NULL);
INSERT INTO "stack" VALUES(8,5,'peak',2001,1,'[1,12]',1);
INSERT INTO "stack" VALUES(9,7,'peak',100001,1,'[1,2]',1);
INSERT INTO "stack" VALUES(10,7,'setup',3000001,1,'[1,3]',1);
INSERT INTO "stack" VALUES(11,8,'peak',1001,1,'[1,12]',1);
INSERT INTO "stack" VALUES(12,8,'peak',610,1,'[]',NULL);
INSERT INTO "stack" VALUES(13,9,'peak',2001,1,'[1,12]',1);
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
INSERT INTO "test" VALUES(1,1,'test_shop.py::test_within','test_shop.py','test_within',9,'passed',1.15788543007511179894e-01,NULL);
INSERT INTO "test" VALUES(2,1,'test_shop.py::test_exceeds','test_shop.py','test_exceeds',13,'failed',1.68499609935679472982e-02,NULL);
INSERT INTO "test" VALUES(3,1,'test_shop.py::test_leaks','test_shop.py','test_leaks',17,'failed',2.43199421005556359887e-01,NULL);
INSERT INTO "test" VALUES(4,1,'test_shop.py::test_plain[one]','test_shop.py','test_plain[one]',21,'passed',3.46883689999231137335e-02,NULL);
INSERT INTO "test" VALUES(5,1,'test_shop.py::test_plain[tw\xf6]','test_shop.py','test_plain[tw\xf6]',21,'passed',0.000851593998959288,NULL);
INSERT INTO "test" VALUES(6,1,'test_shop.py::test_skips','test_shop.py','test_skips',24,'skipped',6.78737000271212309598e-04,NULL);
INSERT INTO "test" VALUES(7,2,'test_shop.py::test_within','test_shop.py','test_within',9,'passed',1.41625109994492959231e-01,NULL);
INSERT INTO "test" VALUES(8,2,'test_shop.py::test_plain[one]','test_shop.py','test_plain[one]',21,'passed',1.25251799909165129065e-03,NULL);
INSERT INTO "test" VALUES(9,2,'test_shop.py::test_plain[tw\xf6]','test_shop.py','test_plain[tw\xf6]',21,'passed',8.09711011243052780628e-04,NULL);
CREATE INDEX run_running ON run (uuid) WHERE status = 'running';
CREATE INDEX test_by_name ON test (path, name, id, run);
CREATE INDEX test_by_run ON test (run);
CREATE INDEX phase_heavy ON phase (test) WHERE name = 'call' AND allocations >= 100000;
CREATE INDEX limit_check_by_test ON limit_check (test);
CREATE INDEX limit_check_exceeded ON limit_check (test) WHERE verdict = 'exceeded';
CREATE INDEX stack_by_test ON stack (test, kind);
CREATE INDEX stack_by_site ON stack (site, bytes);
CREATE INDEX run_source_by_source ON run_source (source);
COMMIT;
