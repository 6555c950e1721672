PRAGMA application_id = 1835626087;
PRAGMA user_version = 6;
BEGIN;
CREATE TABLE m_alias (
    alias      INTEGER PRIMARY KEY REFERENCES m_record ON DELETE CASCADE,
    record     INTEGER NOT NULL REFERENCES m_record ON DELETE CASCADE,  -- what it is now: never itself an alias
    seq        INTEGER NOT NULL             -- the change of that record by which it took this one over
) STRICT;
CREATE TABLE m_answer (
    answer     INTEGER PRIMARY KEY,
    sync       TEXT    NOT NULL,
    name       BLOB    NOT NULL,            -- a mark of what was asked, and as whom, under a key that is not in here
    validator  TEXT    NOT NULL,
    head       TEXT    NOT NULL,            -- headers, a line each
    body       BLOB    NOT NULL,
    at         INTEGER NOT NULL             -- when it came, ms
) STRICT;
CREATE TABLE m_app (
    app        TEXT PRIMARY KEY,
    seen       INTEGER NOT NULL
) STRICT;
CREATE TABLE m_budget (
    account TEXT    PRIMARY KEY,            -- a mark of the host, and of where the login comes from
    known   TEXT    NOT NULL,               -- as a JSON object
    at      INTEGER NOT NULL                -- when that was written, ms
) STRICT;
INSERT INTO m_budget (account, known, at) VALUES ('b6a31711f68c4a9a9264dffb9a462617', '{"allowances":{},"lately":[],"quiet":null,"used":{"others":[7,0,966],"things":[18,0,1880]},"since":1795792449158}', 1795792449343);
CREATE TABLE m_collection (
    collection INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    definition TEXT    NOT NULL             -- as configured, JSON
, horizon INTEGER NOT NULL DEFAULT 0, ledger_horizon INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO m_collection (collection, name, definition, horizon, ledger_horizon) VALUES (1, 'copied', '{"columns":[],"index":[]}', 0, 0);
INSERT INTO m_collection (collection, name, definition, horizon, ledger_horizon) VALUES (2, 'notes', '{"columns":["text"],"index":[]}', 0, 0);
INSERT INTO m_collection (collection, name, definition, horizon, ledger_horizon) VALUES (3, 'others', '{"columns":[],"index":[]}', 0, 0);
INSERT INTO m_collection (collection, name, definition, horizon, ledger_horizon) VALUES (4, 'things', '{"columns":["title","n"],"index":["n"]}', 0, 0);
CREATE TABLE m_conflict (
    conflict   INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- c-...
    record     INTEGER NOT NULL REFERENCES m_record,
    link       INTEGER,                     -- the link it froze or freezes
    replica    TEXT    NOT NULL,            -- the remote's name, for people
    property   TEXT,                        -- NULL: the record as a whole
    agreed     TEXT,                        -- JSON values; NULL: absent
    truth      TEXT,
    theirs     TEXT,
    verdict    TEXT    NOT NULL,            -- truth, remote, open, kept_edit, kept_delete; after a decision: resolved
    open       INTEGER NOT NULL,
    loser_seq  INTEGER,                     -- the write that lost, where it was the truth's
    seq        INTEGER NOT NULL,            -- the record's seq after the meeting
    at         INTEGER NOT NULL
) STRICT;
INSERT INTO m_conflict (conflict, id, record, link, replica, property, agreed, truth, theirs, verdict, open, loser_seq, seq, at) VALUES (1, 'c-jyrshjxb', 1, 1, 'far', 'n', '0', '"ours"', '"theirs"', 'remote', 0, 17, 21, 1795792449206);
INSERT INTO m_conflict (conflict, id, record, link, replica, property, agreed, truth, theirs, verdict, open, loser_seq, seq, at) VALUES (2, 'c-p4nrknns', 2, 2, 'far', 'title', '"number 1"', '"ours"', '"theirs"', 'open', 1, NULL, 18, 1795792449206);
INSERT INTO m_conflict (conflict, id, record, link, replica, property, agreed, truth, theirs, verdict, open, loser_seq, seq, at) VALUES (3, 'c-vzfz0276', 3, 3, 'far', NULL, '{"n":2,"tags":["a","b"],"title":"number 2"}', '{"n":"kept","tags":["a","b"],"title":"number 2"}', NULL, 'kept_edit', 0, NULL, 19, 1795792449209);
CREATE TABLE m_copy (
    replica    INTEGER PRIMARY KEY REFERENCES m_replica,
    app        TEXT    NOT NULL,
    collection INTEGER NOT NULL REFERENCES m_collection,
    anchor     TEXT,                        -- the last one given; NULL: none holds, the next session is no fast one
    instance   TEXT    NOT NULL,            -- of the store that gave it
    scanned    INTEGER NOT NULL,            -- records up to this seq have their links for this app
    pass       INTEGER NOT NULL,            -- number of the present or last session
    used       INTEGER NOT NULL,            -- when its last session began, ms
    owed       INTEGER NOT NULL             -- 1: the truth is to take the place of what the app has, and has not yet
, since INTEGER, mode  TEXT, ended TEXT, filter TEXT, stood  TEXT) STRICT;
INSERT INTO m_copy (replica, app, collection, anchor, instance, scanned, pass, used, owed, since, mode, ended, filter, stood) VALUES (-1, 'keeper', 1, 'a-8wtvj1e4', '3c9423f753714c829aa12d2a80253a01', 40, 2, 1795792449318, 0, 1795792449279, 'fast', 'left', NULL, NULL);
CREATE TABLE m_deferred (
    record     INTEGER PRIMARY KEY REFERENCES m_record ON DELETE CASCADE,
    app        TEXT    NOT NULL,            -- who marked it last
    at         INTEGER NOT NULL             -- ms
) STRICT;
INSERT INTO m_deferred (record, app, at) VALUES (18, 'tester', 1795792449268);
CREATE TABLE m_defined (
    sync       TEXT    PRIMARY KEY,
    definition TEXT    NOT NULL,            -- the keys of a [sync.NAME] and their values, as a JSON object
    app        TEXT    NOT NULL,            -- the last that defined it
    generation INTEGER NOT NULL,            -- how often it was defined
    at         INTEGER NOT NULL             -- when last, ms
) STRICT;
CREATE TABLE m_former (
    replica    INTEGER NOT NULL,
    remote_id  TEXT    NOT NULL,
    link       INTEGER NOT NULL REFERENCES m_link ON DELETE CASCADE
) STRICT;
INSERT INTO m_former (replica, remote_id, link) VALUES (1, 'r2', 3);
INSERT INTO m_former (replica, remote_id, link) VALUES (1, 'r3', 4);
INSERT INTO m_former (replica, remote_id, link) VALUES (2, 'o7', 16);
INSERT INTO m_former (replica, remote_id, link) VALUES (-1, 'k2', 21);
CREATE TABLE m_ledger (
    seq        INTEGER PRIMARY KEY,
    record     INTEGER NOT NULL,
    origin     TEXT    NOT NULL,            -- app:NAME, sync:NAME
    at         INTEGER NOT NULL,            -- ms
    before     TEXT                         -- JSON: changed properties, each with a list of its old value ([]: was absent); NULL: there was no record
) STRICT;
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (1, 1, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (2, 2, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (3, 3, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (4, 4, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (5, 5, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (6, 6, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (7, 7, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (8, 8, 'sync:things', 1795792449164, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (9, 9, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (10, 10, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (11, 11, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (12, 12, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (13, 13, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (14, 14, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (15, 15, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (16, 16, 'sync:others', 1795792449183, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (17, 1, 'app:tester', 1795792449187, '{"n":[0]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (18, 2, 'app:tester', 1795792449189, '{"title":["number 1"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (19, 3, 'app:tester', 1795792449190, '{"n":[2]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (20, 4, 'app:tester', 1795792449191, '{"n":[3],"tags":[["a","b"]],"title":["number 3"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (21, 1, 'sync:things', 1795792449206, '{"n":["ours"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (22, 16, 'sync:others', 1795792449223, '{"big":[12345678901234567890],"n":[1.5]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (23, 17, 'app:tester', 1795792449234, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (24, 5, 'app:tester', 1795792449245, '{"n":[4]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (25, 18, 'app:tester', 1795792449260, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (26, 18, 'app:tester', 1795792449268, '{"text":["with \"quotes\" and ünïcode 🦀"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (27, 19, 'app:tester', 1795792449269, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (28, 19, 'app:tester', 1795792449270, '{}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (29, 20, 'app:tester', 1795792449271, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (30, 6, 'app:tester', 1795792449271, '{"n":[5],"tags":[["a","b"]]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (31, 21, 'app:tester', 1795792449272, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (32, 7, 'app:tester', 1795792449273, '{"n":[6],"tags":[["a","b"]],"title":["number 6"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (33, 22, 'app:tester', 1795792449276, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (34, 23, 'app:tester', 1795792449276, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (35, 24, 'app:tester', 1795792449277, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (36, 25, 'app:tester', 1795792449278, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (37, 26, 'app:keeper', 1795792449283, NULL);
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (38, 22, 'app:tester', 1795792449316, '{"n":[0]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (39, 23, 'app:tester', 1795792449317, '{"n":[1],"phone":["01"]}');
INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (40, 24, 'app:keeper', 1795792449321, '{"n":[2]}');
CREATE TABLE m_link (
    link       INTEGER PRIMARY KEY,
    replica    INTEGER NOT NULL REFERENCES m_replica,
    record     INTEGER NOT NULL REFERENCES m_record,
    remote_id  TEXT,                        -- NULL: not known (open create), or gone
    revision   TEXT,                        -- the last one seen or made
    left_revs  TEXT,                        -- JSON list, newest last: the last 8 revisions this link has left
    modified   INTEGER,                     -- the newest stamp seen, ms
    base       INTEGER NOT NULL,            -- 0 same, 1 own, 2 gone, 3 unknown
    agreed     TEXT,                        -- JSON object; only where base is own
    sent       TEXT,                        -- JSON list of requests whose answers are not settled; NULL: none
    confirmed  INTEGER NOT NULL,            -- the highest seq whose state the replica took or was found to equal
    born       INTEGER NOT NULL,            -- the pass in which it was made
    seen       INTEGER NOT NULL,            -- the last pass (of any sync) that showed it
    missing    INTEGER NOT NULL             -- complete passes since that did not
, pairs TEXT) STRICT;
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (1, 1, 1, 'r0', '17', '["1"]', 1795792449188, 0, NULL, NULL, 21, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (2, 1, 2, 'r1', '18', '["3"]', 1795792449190, 1, '{"n":1,"tags":["a","b"],"title":"theirs"}', NULL, 2, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (3, 1, 3, 'r2', '21', '["5"]', 1795792449213, 0, NULL, NULL, 19, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (4, 1, 4, NULL, NULL, '["7"]', 1795792449129, 0, NULL, NULL, 20, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (5, 1, 5, 'r4', '23', '["9"]', 1795792449254, 0, NULL, NULL, 24, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (6, 1, 6, 'r5', '11', NULL, 1795792449129, 1, '{"n":5,"tags":["a","b"],"title":"number 5"}', NULL, 6, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (7, 1, 7, 'r6', '13', NULL, 1795792449129, 1, '{"n":6,"tags":["a","b"],"title":"number 6"}', NULL, 7, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (8, 1, 8, 'r7', '15', NULL, 1795792449129, 0, NULL, NULL, 8, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (9, 2, 9, 'o0', '2', NULL, 1795792449129, 0, NULL, NULL, 9, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (10, 2, 10, 'o1', '4', NULL, 1795792449129, 0, NULL, NULL, 10, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (11, 2, 11, 'o2', '6', NULL, 1795792449129, 0, NULL, NULL, 11, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (12, 2, 12, 'o3', '8', NULL, 1795792449129, 0, NULL, NULL, 12, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (13, 2, 13, 'o4', '10', NULL, 1795792449129, 0, NULL, NULL, 13, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (14, 2, 14, 'o5', '12', NULL, 1795792449129, 0, NULL, NULL, 14, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (15, 2, 15, 'o6', '14', NULL, 1795792449129, 0, NULL, NULL, 15, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (16, 2, 16, NULL, NULL, '["16"]', 1795792449129, 0, NULL, NULL, 22, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (17, 1, 17, NULL, NULL, NULL, NULL, 2, NULL, NULL, 0, 0, 0, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (18, -1, 26, 'mine', NULL, NULL, NULL, 0, NULL, NULL, 37, 1, 1, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (19, -1, 22, 'k0', NULL, NULL, NULL, 1, '{"n":0,"phone":"00"}', NULL, 33, 0, 0, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (20, -1, 23, 'k1', NULL, NULL, NULL, 1, '{"n":1,"phone":"01"}', NULL, 34, 0, 0, 1, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (21, -1, 24, 'own', NULL, NULL, NULL, 1, '{"n":"both","phone":"0-2"}', NULL, 40, 0, 2, 0, NULL);
INSERT INTO m_link (link, replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs) VALUES (22, -1, 25, 'k3', NULL, NULL, NULL, 3, NULL, NULL, 36, 0, 0, 0, NULL);
CREATE TABLE m_op (
    app        TEXT    NOT NULL,
    op         TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    answer     TEXT    NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'b7188d37938f48ac951ef6dbf2bf75df', X'26EB7AEC34519F674FB670E250605CC07E394117CEA99F9EFB37A49FB3720AF9', 'w-3c9423f753714c829aa12d2a80253a01-1_17
17 r0', 1795792449187);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '161e16ca23b64e8dadb1c0c535f739a4', X'0D9B58696BE29E6BD84B329F2DD13DF0A12EE7DAB7399CF05AEB4B31B7F01C27', 'w-3c9423f753714c829aa12d2a80253a01-2_18
18 r1', 1795792449189);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '491bd9b2226f4c91bb2f3d7bc0a7281e', X'C27FA9EB716BCAB809BE1CC307AAF8AFFCA1287505745144138807223B591D12', 'w-3c9423f753714c829aa12d2a80253a01-3_19
19 r2', 1795792449190);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '5fdedf7df7ad467183c88bca45ef1cc1', X'A7BF660D86AE425B82C17E516562ECEDA9D3FBF5F0250209F033A3097B72322A', 'w-3c9423f753714c829aa12d2a80253a01-4_20
20 r3', 1795792449191);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'daec50551a5745479afe939016dd97f5', X'2A2AA46FEB6AED2AAD248D3DB97090EF7C9DF056C7B616398329E1908B8B7358', 'w-3c9423f753714c829aa12d2a80253a01-17_23
23 refused', 1795792449234);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '4e5089ae019e41a2ab2471dca6267d4f', X'57B129A5C8F452E84B27EF31A2CBB842DB6518F6BC572A744A5CD07F9F6515A6', 'w-3c9423f753714c829aa12d2a80253a01-5_24
24 r4', 1795792449245);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'a01c5f71be6d4b60a177f0fa8ff0da99', X'63701D098E6499AE25EC8BF4FB49AC48A7A9349B96C396814249811173079969', 'w-3c9423f753714c829aa12d2a80253a01-18_25
25 n1', 1795792449260);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '6c56181a9e3e49208bc371992cf1f55c', X'3CD2186489A11C4383D74EEC1D0BBCE71B09FA30D8CD9565F2D6A6F5C991F1EE', 'w-3c9423f753714c829aa12d2a80253a01-18_26
26 n1', 1795792449268);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '1080d158f8a44c90bdb6e7882f1a207f', X'F0D9FF3354AAD6461142EFB344E11CF00135E216391645DCA0BF6E2C01EB2D3E', 'w-3c9423f753714c829aa12d2a80253a01-19_27
27 n2', 1795792449269);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '8cf66ac6dbe445e59b34b6d7d378ef67', X'4AB648FF6A7A9CFFCCF71208AF86F8B361932A3F4B8C488E0B0EFAB0803012D4', 'w-3c9423f753714c829aa12d2a80253a01-19_28
28 n2', 1795792449270);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'an-op-of-then', X'B1DAECF34011369B175313C1FD0808394A694C7281EAD9E63E05A9B329022FE9', 'w-3c9423f753714c829aa12d2a80253a01-20_29
29 n3', 1795792449271);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '9e29d12f8f374217b6fb1d19be30a8c5', X'E488897DB625F10762DD71A2134DCD8BC6B5E7E36A8E27DF13105F3CA0053172', 'w-3c9423f753714c829aa12d2a80253a01-6_30
30 r5', 1795792449271);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '957ade27f06643d3843bd381e6034300', X'56A19C0BC781C1ABF93787B86AF8B7BFD4576E0C3819E82D5E9E3F1D679747ED', 'w-3c9423f753714c829aa12d2a80253a01-21_31
31 new', 1795792449272);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '331b1db8a7f941a0993b2cd44a1ead81', X'483B7E2D1D1807B5E73DB9CCE0CC7745A6ECD921E0E3D216BBD6216E3173B651', 'w-3c9423f753714c829aa12d2a80253a01-7_32
32 r6', 1795792449273);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '35468c13705a48809fd9ac75e2120d5b', X'DB8B0AB1E15410F760FD6D3F0BA9E1F47BA7684C07CE470BF67F81CE89CC8EFB', 'w-3c9423f753714c829aa12d2a80253a01-22_33
33 k0', 1795792449276);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'f51c8e0a63e642f5a4c1f88cd6aef48e', X'7074C770590807143D644DAC86309CC576EE6A63E389D43AEA5158FDC5B1CD82', 'w-3c9423f753714c829aa12d2a80253a01-23_34
34 k1', 1795792449276);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', '5b27ead18f5e4a31a6143d7a0d34d968', X'58B736A40BEE7C80783E724EB31864351A6900E9A608DCAA383A77F3465CDAD5', 'w-3c9423f753714c829aa12d2a80253a01-24_35
35 k2', 1795792449277);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'e5e74c58661545c2a4bb15fde5608c37', X'7B07ACCF394BE0D770A315589C5B548EFA0C4844198DDE880455FEC15AF9AC62', 'w-3c9423f753714c829aa12d2a80253a01-25_36
36 k3', 1795792449278);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'a848f915423a45158f43997579eaf5b8', X'E4C142BFEEB3B4B557E0E0BDC20D5468B14FDCDF42D93159FFF63DC48C29BB55', 'w-3c9423f753714c829aa12d2a80253a01-22_38
38 k0', 1795792449316);
INSERT INTO m_op (app, op, hash, answer, at) VALUES ('tester', 'cba50574ad2e4ba4a80d721e6e1514a5', X'38B19D3F0B176881CADD34488D412A8BD10C84AC258E57B6FAE23455C858444C', 'w-3c9423f753714c829aa12d2a80253a01-23_39
39 k1', 1795792449317);
CREATE TABLE m_push (
    push       INTEGER PRIMARY KEY,
    session    INTEGER NOT NULL REFERENCES m_session ON DELETE CASCADE,
    replica    INTEGER NOT NULL,
    id         TEXT    NOT NULL,            -- the app's
    what       TEXT    NOT NULL,            -- put, delete, lost, given_up
    data       TEXT                         -- JSON object; only of a put
) STRICT;
CREATE TABLE m_record (
    record     INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES m_collection,
    id         TEXT    NOT NULL,            -- what apps see; never changes
    data       TEXT,                        -- JSON object; NULL once deleted or forgotten
    first      INTEGER NOT NULL,            -- the seq that made it, the first time: who read before it cannot have had it
    created    INTEGER NOT NULL,            -- the seq that made it (or brought it back)
    seq        INTEGER NOT NULL,            -- the seq of its last change: the change feed
    state      INTEGER NOT NULL             -- 0 live, 1 deleted, 2 forgotten
) STRICT;
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (1, 4, 'r0', '{"n":"theirs","tags":["a","b"],"title":"number 0"}', 1, 1, 21, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (2, 4, 'r1', '{"n":1,"tags":["a","b"],"title":"ours"}', 2, 2, 18, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (3, 4, 'r2', '{"n":"kept","tags":["a","b"],"title":"number 2"}', 3, 3, 19, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (4, 4, 'r3', NULL, 4, 4, 20, 1);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (5, 4, 'r4', '{"n":"in doubt","tags":["a","b"],"title":"number 4"}', 5, 5, 24, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (6, 4, 'r5', '{"n":"not sent","tags":["c"],"title":"number 5"}', 6, 6, 30, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (7, 4, 'r6', NULL, 7, 7, 32, 1);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (8, 4, 'r7', '{"n":7,"tags":["a","b"],"title":"number 7"}', 8, 8, 8, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (9, 3, 'o0', '{"big":12345678901234567890,"n":1.5}', 9, 9, 9, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (10, 3, 'o1', '{"big":12345678901234567890,"n":1.5}', 10, 10, 10, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (11, 3, 'o2', '{"big":12345678901234567890,"n":1.5}', 11, 11, 11, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (12, 3, 'o3', '{"big":12345678901234567890,"n":1.5}', 12, 12, 12, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (13, 3, 'o4', '{"big":12345678901234567890,"n":1.5}', 13, 13, 13, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (14, 3, 'o5', '{"big":12345678901234567890,"n":1.5}', 14, 14, 14, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (15, 3, 'o6', '{"big":12345678901234567890,"n":1.5}', 15, 15, 15, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (16, 3, 'o7', NULL, 16, 16, 22, 1);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (17, 4, 'refused', '{"n":1,"refuse":true}', 23, 23, 23, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (18, 2, 'n1', '{"list":[1,null,{}],"text":"changed"}', 25, 25, 26, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (19, 2, 'n2', NULL, 27, 27, 28, 1);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (20, 2, 'n3', '{"once":1}', 29, 29, 29, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (21, 4, 'new', '{"n":9}', 31, 31, 31, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (22, 1, 'k0', '{"n":"changed","phone":"00"}', 33, 33, 38, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (23, 1, 'k1', NULL, 34, 34, 39, 1);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (24, 1, 'k2', '{"n":"both","phone":"02"}', 35, 35, 40, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (25, 1, 'k3', '{"n":3,"phone":"03"}', 36, 36, 36, 0);
INSERT INTO m_record (record, collection, id, data, first, created, seq, state) VALUES (26, 1, 'mine', '{"n":"of the keeper"}', 37, 37, 37, 0);
CREATE TABLE m_rejection (
    rejection  INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- j-...
    sync       TEXT    NOT NULL,
    replica    INTEGER NOT NULL,
    side       TEXT    NOT NULL,            -- up, down, create, delete
    link       INTEGER,                     -- NULL: a row that made no record
    record     INTEGER,
    remote_id  TEXT,
    revision   TEXT,                        -- down: the revision that could not be applied
    action     TEXT    NOT NULL,            -- create, update, delete, apply
    what       TEXT    NOT NULL,            -- the remote's words, or ours
    refused    TEXT,                        -- up: the carried values that were refused, JSON
    at         INTEGER NOT NULL,
    tries      INTEGER NOT NULL,
    verdict    TEXT                         -- NULL: it stands; retry: once more now; drop: stays unsent until a side changes
) STRICT;
INSERT INTO m_rejection (rejection, id, sync, replica, side, link, record, remote_id, revision, action, what, refused, at, tries, verdict) VALUES (1, 'j-23j336qc', 'things', 1, 'up', 17, 17, 'refused', NULL, 'create', 'http://127.0.0.1:43213/things/refused refuses it (HTTP 422): refuse is not allowed here', '{"n":1,"refuse":true}', 1795792449243, 1, NULL);
CREATE TABLE m_replica (
    replica    INTEGER PRIMARY KEY,
    remote     TEXT    NOT NULL,            -- its name in the configuration
    identity   TEXT    NOT NULL UNIQUE      -- what makes it this one: remote, url, account, resource, collection
) STRICT;
INSERT INTO m_replica (replica, remote, identity) VALUES (-1, 'app:keeper', 'app:keeper 1');
INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'far', 'farhttp://127.0.0.1:43213thingsthings');
INSERT INTO m_replica (replica, remote, identity) VALUES (2, 'far', 'farhttp://127.0.0.1:43213othersothers');
CREATE TABLE m_run (
    run        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- r-...
    sync       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    result     TEXT,
    mode       TEXT    NOT NULL,
    trigger    TEXT    NOT NULL,
    stop_reason TEXT,
    started    INTEGER NOT NULL,            -- ms
    ended      INTEGER,
    down       INTEGER NOT NULL DEFAULT 0,
    up         INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    conflicts  INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    error      TEXT                         -- JSON {name, what, hint}
, reset TEXT, attempt INTEGER, waited INTEGER, waited_for TEXT, bytes_up INTEGER, requests INTEGER, not_modified INTEGER, wishes TEXT) STRICT;
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (1, 'r-g0yfch43ry', 'things', 'done', 'new_data', 'slow', 'request', NULL, 1795792449129, 1795792449173, 8, 0, 0, 0, 804, NULL, NULL, 1, NULL, NULL, 0, 3, 0, NULL);
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (2, 'r-g1hct1yjh1', 'others', 'done', 'new_data', 'slow', 'request', NULL, 1795792449178, 1795792449185, 8, 0, 0, 0, 742, NULL, NULL, 1, NULL, NULL, 0, 3, 0, NULL);
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (3, 'r-3tv709a2vv', 'things', 'done', 'new_data', 'fast', 'request', NULL, 1795792449200, 1795792449216, 1, 2, 0, 3, 542, NULL, NULL, 1, NULL, NULL, 48, 6, 0, NULL);
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (4, 'r-j9n1dg5xxj', 'others', 'done', 'new_data', 'fast', 'request', NULL, 1795792449217, 1795792449232, 1, 0, 0, 0, 224, NULL, NULL, 1, NULL, NULL, 0, 4, 0, NULL);
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (5, 'r-scq89qwbzq', 'things', 'done_with_errors', 'no_new_data', 'fast', 'request', NULL, 1795792449235, 1795792449244, 0, 0, 1, 0, 351, NULL, NULL, 1, NULL, NULL, 21, 4, 0, NULL);
INSERT INTO m_run (run, id, sync, status, result, mode, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified, wishes) VALUES (6, 'r-2tmzz51c8h', 'things', 'done_with_errors', 'no_new_data', 'fast', 'request', NULL, 1795792449246, 1795792449258, 0, 0, 0, 0, 304, NULL, NULL, 1, NULL, NULL, 52, 5, 0, NULL);
CREATE TABLE m_schedule (
    sync       TEXT    PRIMARY KEY,
    next       INTEGER,                     -- its next run is at this moment, ms; NULL: when its schedule says
    pinged     INTEGER,                     -- there is something new at its remote since then, ms; NULL once a run has begun since
    anew       INTEGER                      -- its schedule began anew after this run: those up to it say nothing of it; NULL: it never did
) STRICT;
CREATE TABLE m_session (
    session    INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,     -- s-...
    app        TEXT    NOT NULL UNIQUE,
    connection INTEGER NOT NULL,            -- with which it ends; of this process
    state      TEXT    NOT NULL,            -- negotiating, pushing, mingling, pulling
    mode       TEXT    NOT NULL,
    replicas   TEXT    NOT NULL,            -- JSON list: its collections' places, in the app's order
    ends       INTEGER NOT NULL DEFAULT 0,  -- after mingling: 0 goes on, 1 finished, 2 cancelled
    changed    INTEGER NOT NULL DEFAULT 0,
    conflicts  INTEGER NOT NULL DEFAULT 0,
    deleted    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE m_shown (
    name       TEXT    NOT NULL,            -- of the matter, as attention has it
    about      TEXT    NOT NULL,            -- and what it is about
    at         INTEGER NOT NULL,            -- when last, ms
    PRIMARY KEY (name, about)
) STRICT;
CREATE TABLE m_store (
    store      INTEGER PRIMARY KEY CHECK (store = 1),
    instance   TEXT    NOT NULL,            -- a new id for a new, restored or rebuilt store
    horizon    INTEGER NOT NULL,            -- the highest purged seq
    ledger_looked  INTEGER NOT NULL,        -- up to which seq the last purge looked at the ledger
    clean      INTEGER NOT NULL,            -- 1: closed in good order
    durable    INTEGER NOT NULL,            -- 1: every commit since the start was synced to the disk (FULL)
    stopped    TEXT                         -- a stop that holds: {"since": ms, "by": app}
) STRICT;
INSERT INTO m_store (store, instance, horizon, ledger_looked, clean, durable, stopped) VALUES (1, '3c9423f753714c829aa12d2a80253a01', 0, 0, 1, 1, NULL);
CREATE TABLE m_sync (
    sync       INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    replica    INTEGER REFERENCES m_replica,
    epoch      TEXT,                        -- of the checkpoint
    watermark  TEXT,                        -- JSON; what the next run starts from; NULL: from the start
    resume     TEXT,                        -- JSON; where a run that was stopped goes on; NULL: nowhere
    complete   TEXT,                        -- the epoch in which a complete down was done
    pass       INTEGER NOT NULL,            -- number of the present or last complete pass
    up_scanned INTEGER NOT NULL,            -- records up to this seq have their links for this sync
    paused     TEXT                         -- {"since": ms, "by": app, "ended": [sync] if it ended a run}
, filter TEXT, creates TEXT NOT NULL DEFAULT 'unlinked', reset TEXT, since INTEGER, fresh INTEGER) STRICT;
INSERT INTO m_sync (sync, name, replica, epoch, watermark, resume, complete, pass, up_scanned, paused, filter, creates, reset, since, fresh) VALUES (1, 'things', 1, 'e924ab5655c6e109844f3ed5f2bf6bf3first01a8bf6747872548', '{"token":"22"}', NULL, 'e924ab5655c6e109844f3ed5f2bf6bf3first01a8bf6747872548', 4, 24, NULL, NULL, 'unlinked', NULL, NULL, 1795792449246);
INSERT INTO m_sync (sync, name, replica, epoch, watermark, resume, complete, pass, up_scanned, paused, filter, creates, reset, since, fresh) VALUES (2, 'others', 2, 'ffbded36b2f92a05ac33d51613182edffirst01a8bf6747872548', '{"token":"22"}', NULL, 'ffbded36b2f92a05ac33d51613182edffirst01a8bf6747872548', 2, 0, '{"since":1795792449274,"by":"tester","ended":[]}', NULL, 'never', NULL, NULL, 1795792449217);
CREATE TABLE m_take (
    take       INTEGER PRIMARY KEY,
    session    INTEGER NOT NULL REFERENCES m_session ON DELETE CASCADE,
    replica    INTEGER NOT NULL,
    link       INTEGER NOT NULL,
    what       TEXT    NOT NULL,            -- accept, refuse, lost, given_up
    seq        INTEGER NOT NULL,            -- the state that was shown
    id         TEXT,                        -- the app's from now on
    form       TEXT                         -- JSON object: what the app made of it; NULL: just that
) STRICT;
CREATE INDEX m_alias_of ON m_alias (record);
CREATE UNIQUE INDEX m_answer_name ON m_answer (sync, name);
CREATE INDEX m_by_4_0 ON m_record (json_extract(data, '$."n"'), id) WHERE collection = 4 AND state = 0;
CREATE INDEX m_conflict_open   ON m_conflict (link) WHERE open = 1;
CREATE INDEX m_conflict_record ON m_conflict (record);
CREATE UNIQUE INDEX m_copy_of ON m_copy (app, collection);
CREATE UNIQUE INDEX m_former_id ON m_former (replica, remote_id);
CREATE INDEX m_former_link ON m_former (link);
CREATE INDEX m_ledger_record ON m_ledger (record, seq);
CREATE INDEX m_link_behind ON m_link (replica) WHERE base <> 0 OR sent IS NOT NULL;
CREATE INDEX m_link_copies ON m_link (replica) WHERE replica < 0;
CREATE UNIQUE INDEX m_link_record ON m_link (record, replica);
CREATE UNIQUE INDEX m_link_remote ON m_link (replica, remote_id) WHERE remote_id IS NOT NULL;
CREATE UNIQUE INDEX m_op_id ON m_op (op, app);
CREATE UNIQUE INDEX m_push_id ON m_push (session, replica, id);
CREATE UNIQUE INDEX m_record_feed ON m_record (collection, seq);
CREATE INDEX m_record_gone ON m_record (seq) WHERE state <> 0;
CREATE UNIQUE INDEX m_record_id  ON m_record (collection, id);
CREATE UNIQUE INDEX m_rejection_link   ON m_rejection (link) WHERE link IS NOT NULL;
CREATE UNIQUE INDEX m_rejection_remote ON m_rejection (replica, remote_id) WHERE link IS NULL;
CREATE INDEX m_run_open ON m_run (run) WHERE ended IS NULL;
CREATE INDEX m_run_sync ON m_run (sync, run);
CREATE INDEX m_take_id ON m_take (session, replica, id);
CREATE UNIQUE INDEX m_take_link ON m_take (session, link);
CREATE VIEW "copied" AS SELECT id, seq, data FROM m_record WHERE collection = 1 AND state = 0;
CREATE VIEW "notes" AS SELECT id, seq, data, json_extract(data, '$."text"') AS "text" FROM m_record WHERE collection = 2 AND state = 0;
CREATE VIEW "others" AS SELECT id, seq, data FROM m_record WHERE collection = 3 AND state = 0;
CREATE VIEW "things" AS SELECT id, seq, data, json_extract(data, '$."title"') AS "title", json_extract(data, '$."n"') AS "n" FROM m_record WHERE collection = 4 AND state = 0;
COMMIT;
