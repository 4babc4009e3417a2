-- A study of metaqnn, schema 8. This file is the whole schema: read it to query a study with any SQLite program.
--
-- Numbers with a fraction are declared ANY and checked to be real: a column declared REAL would store -0.0 as 0.0, and
-- what is stored must come back bit for bit. SQLite has no NaN: where one may occur, it is stored as NULL.
-- Seeds have 64 bits without a sign, more than an SQLite integer holds: they are stored as decimal text.
--
-- What is stored never changes, but for `candidate`, `validation`, `final`, `ensemble` and `run` and their checksums; the triggers at the end hold that
-- for every program that writes here.

-- Which version of metaqnn brought the file to which schema. Every schema to come keeps this table as it is, so that
-- an older metaqnn can say what wrote a file that it does not know.
CREATE TABLE schema_history (
    schema  INTEGER PRIMARY KEY,
    version TEXT NOT NULL
) STRICT;

-- What the study says of itself; one row.
CREATE TABLE study (
    study            INTEGER PRIMARY KEY CHECK (study = 1),
    version          TEXT NOT NULL,     -- of the program that began it
    created_at       INTEGER NOT NULL,  -- seconds since 1970-01-01 UTC
    settings         TEXT NOT NULL,     -- TOML
    seed             TEXT NOT NULL,
    data             TEXT NOT NULL,
    data_fingerprint TEXT NOT NULL,
    input            TEXT NOT NULL,     -- CHANNELSxHEIGHTxWIDTH
    class_names      TEXT NOT NULL      -- JSON, a list in label order
) STRICT;

-- How the data are read, and what each of their images is for; one row. Studies begun with schema 9 or before have none: their data are read, and
-- their splits drawn, as they were then.
CREATE TABLE data_reading (
    study        INTEGER PRIMARY KEY REFERENCES study,
    reading      TEXT NOT NULL,     -- JSON
    image_splits BLOB NOT NULL      -- 21 bytes for each content and split: 16 of a hash, 0 train, 1 valid or 2 test, how many, little-endian
) STRICT;

-- Finished trials. A prune_reason is what the rule saw, as JSON (prune_reason ->> '$.predicted'), rounded to four decimals; in studies that
-- older versions wrote it is words, so ask json_valid(prune_reason) first.
CREATE TABLE trial (
    trial          INTEGER PRIMARY KEY,
    architecture   TEXT NOT NULL UNIQUE,
    seed           TEXT NOT NULL,
    params         INTEGER NOT NULL,    -- trainable values
    flops          INTEGER NOT NULL,    -- forward, for one image
    state          TEXT NOT NULL CHECK (state IN ('complete', 'pruned', 'failed')),
    valid_accuracy ANY CHECK (typeof(valid_accuracy) = CASE state WHEN 'failed' THEN 'null' ELSE 'real' END),
    prune_reason   TEXT CHECK ((prune_reason IS NOT NULL) = (state = 'pruned')),
    failure        TEXT CHECK ((failure IS NOT NULL) = (state = 'failed')), -- JSON; failure ->> '$.kind' says which
    epochs         INTEGER NOT NULL,    -- trained over all tries
    tries          INTEGER NOT NULL,
    train_seconds  ANY NOT NULL CHECK (typeof(train_seconds) = 'real')
) STRICT;

-- The best trials without a look at the others.
CREATE INDEX trial_by_valid_accuracy ON trial (valid_accuracy DESC, trial) WHERE valid_accuracy IS NOT NULL;

-- The learning curve of a trial's last try.
CREATE TABLE curve (
    trial          INTEGER NOT NULL REFERENCES trial,
    epoch          INTEGER NOT NULL,    -- epochs done
    train_loss     ANY CHECK (typeof(train_loss) IN ('real', 'null')),         -- NULL: NaN
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: NaN
    PRIMARY KEY (trial, epoch)
) STRICT, WITHOUT ROWID;

-- The trajectory that spells a trial's architecture.
CREATE TABLE transition (
    trial      INTEGER NOT NULL REFERENCES trial,
    step       INTEGER NOT NULL,        -- from 0
    state      TEXT NOT NULL,
    action     TEXT NOT NULL,
    reward     ANY CHECK (typeof(reward) IN ('real', 'null')),                 -- NULL: NaN
    next_state TEXT NOT NULL,           -- empty at the end
    PRIMARY KEY (trial, step)
) STRICT, WITHOUT ROWID;

-- What the agent learned of, in that order: the log from which its Q-table is rebuilt.
CREATE TABLE event (
    event        INTEGER PRIMARY KEY,   -- from 0 without gaps
    kind         TEXT NOT NULL CHECK (kind IN ('trial', 'repeat')),
    trial        INTEGER NOT NULL REFERENCES trial,
    epsilon      ANY NOT NULL CHECK (typeof(epsilon) = 'real'),
    q_table_hash TEXT NOT NULL,         -- after the event
    run_seconds  ANY NOT NULL CHECK (typeof(run_seconds) = 'real') -- that the study had run when it was stored
) STRICT;

-- A trial ends once. Also finds the event of a trial.
CREATE UNIQUE INDEX event_of_trial ON event (trial) WHERE kind = 'trial';

-- Candidates for the final training, trained longer than their trials were and validated.
CREATE TABLE candidate (
    trial          INTEGER PRIMARY KEY REFERENCES trial,
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: the training failed
    epochs         INTEGER NOT NULL,
    train_seconds  ANY NOT NULL CHECK (typeof(train_seconds) = 'real'),
    mirror_is_safe INTEGER CHECK (mirror_is_safe IN (0, 1)),    -- by what it made of mirrored images; NULL: it was not asked
    turning_is_safe INTEGER CHECK (turning_is_safe IN (0, 1))   -- the same of turned ones
) STRICT;

-- Class probabilities of the validation images by candidates, after their last step: what an ensemble is chosen by.
CREATE TABLE validation (
    trial         INTEGER PRIMARY KEY REFERENCES candidate,
    probabilities BLOB NOT NULL         -- images x classes, 32-bit floats, little-endian
) STRICT;

-- Final trainings, with the weights that were measured on the test data.
CREATE TABLE final (
    trial         INTEGER PRIMARY KEY REFERENCES trial,
    test_accuracy ANY NOT NULL CHECK (typeof(test_accuracy) = 'real'),
    test_balanced_accuracy ANY CHECK (typeof(test_balanced_accuracy) IN ('real', 'null')), -- NULL: measured by an earlier version
    test_images   INTEGER NOT NULL,
    epochs        INTEGER NOT NULL,
    train_seconds ANY NOT NULL CHECK (typeof(train_seconds) = 'real'),
    train_losses  TEXT NOT NULL,        -- JSON, one an epoch; "NaN", "Infinity" and "-Infinity" are texts in it
    weights       BLOB NOT NULL         -- safetensors
) STRICT;

-- The ensemble of networks that were trained finally, measured on the test data; at most one row.
CREATE TABLE ensemble (
    ensemble       INTEGER PRIMARY KEY CHECK (ensemble = 1),
    valid_accuracy ANY CHECK (typeof(valid_accuracy) IN ('real', 'null')),     -- NULL: not chosen on validation data
    test_accuracy  ANY NOT NULL CHECK (typeof(test_accuracy) = 'real'),
    test_balanced_accuracy ANY CHECK (typeof(test_balanced_accuracy) IN ('real', 'null')), -- NULL: measured by an earlier version
    test_images    INTEGER NOT NULL
) STRICT;

-- Its members.
CREATE TABLE ensemble_member (
    place INTEGER PRIMARY KEY,          -- from 1, best validation accuracy first
    trial INTEGER NOT NULL UNIQUE REFERENCES final
) STRICT;

-- Which networks are trained fully, and for how long: stored before anything is trained, so that a later run keeps to it.
CREATE TABLE final_plan (
    trial            INTEGER PRIMARY KEY REFERENCES trial,
    place            INTEGER NOT NULL,    -- from 1, in the order of the training
    candidate_epochs INTEGER NOT NULL,    -- on the training images alone; 0: the trial's validation is enough
    final_epochs     INTEGER NOT NULL     -- on training and validation images
) STRICT;

-- How long the study has run, over all its runs; one row.
CREATE TABLE run (
    run         INTEGER PRIMARY KEY CHECK (run = 1),
    run_seconds ANY NOT NULL CHECK (typeof(run_seconds) = 'real')
) STRICT;

-- What ends the study where a later run raised it above what the settings say: the last row holds. Rows are only added.
CREATE TABLE raised_limits (
    raised         INTEGER PRIMARY KEY,
    before_event   INTEGER NOT NULL,    -- the number of the next event when it was raised
    models         INTEGER NOT NULL,    -- unique models to train; 0: until the budget is over
    budget_seconds ANY NOT NULL CHECK (typeof(budget_seconds) = 'real') -- of all runs; 0: until the models are trained
) STRICT;

-- SHA-256 of each row, by which damage is found. It is no proof against forgery: who can change a row can change its checksum, too. What is hashed,
-- and how: checksums.rs. The checksum of an event is of its trial as well, and of the checksum of the event before; before the first event
-- is the study.
CREATE TABLE checksum (
    part        TEXT NOT NULL,          -- the table
    row         INTEGER NOT NULL,       -- its primary key there
    sha256      BLOB NOT NULL CHECK (length(sha256) = 32),
    blob_sha256 BLOB CHECK (length(blob_sha256) = 32),  -- of the row's blob; NULL: it has none
    PRIMARY KEY (part, row)
) STRICT, WITHOUT ROWID;

-- BEFORE INSERT as well as UPDATE and DELETE, since INSERT OR REPLACE deletes without a word to a trigger.
CREATE TRIGGER study_changed BEFORE UPDATE ON study
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER study_deleted BEFORE DELETE ON study
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER study_replaced BEFORE INSERT ON study WHEN EXISTS (SELECT 1 FROM study)
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;

CREATE TRIGGER data_reading_changed BEFORE UPDATE ON data_reading
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER data_reading_deleted BEFORE DELETE ON data_reading
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER data_reading_replaced BEFORE INSERT ON data_reading WHEN EXISTS (SELECT 1 FROM data_reading)
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;

CREATE TRIGGER trial_changed BEFORE UPDATE ON trial
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER trial_deleted BEFORE DELETE ON trial
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER trial_replaced BEFORE INSERT ON trial
    WHEN EXISTS (SELECT 1 FROM trial WHERE trial = NEW.trial)
      OR EXISTS (SELECT 1 FROM trial WHERE architecture = NEW.architecture)
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;

-- A trial's event is written last: once it is there, the trial is finished.
CREATE TRIGGER curve_changed BEFORE UPDATE ON curve
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER curve_deleted BEFORE DELETE ON curve
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER curve_extended BEFORE INSERT ON curve
    WHEN EXISTS (SELECT 1 FROM event WHERE trial = NEW.trial AND kind = 'trial')
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;

CREATE TRIGGER transition_changed BEFORE UPDATE ON transition
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER transition_deleted BEFORE DELETE ON transition
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;
CREATE TRIGGER transition_extended BEFORE INSERT ON transition
    WHEN EXISTS (SELECT 1 FROM event WHERE trial = NEW.trial AND kind = 'trial')
    BEGIN SELECT RAISE(ABORT, 'a finished trial never changes'); END;

CREATE TRIGGER event_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'the log never changes'); END;
CREATE TRIGGER event_deleted BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'the log never changes'); END;
CREATE TRIGGER event_out_of_order BEFORE INSERT ON event
    WHEN NEW.event IS NOT (SELECT coalesce(max(event), -1) + 1 FROM event)
    BEGIN SELECT RAISE(ABORT, 'events are numbered from 0 without gaps'); END;

CREATE TRIGGER raised_limits_changed BEFORE UPDATE ON raised_limits
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;
CREATE TRIGGER raised_limits_deleted BEFORE DELETE ON raised_limits
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;
CREATE TRIGGER raised_limits_replaced BEFORE INSERT ON raised_limits
    WHEN EXISTS (SELECT 1 FROM raised_limits WHERE raised = NEW.raised)
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;

CREATE TRIGGER checksum_changed BEFORE UPDATE ON checksum WHEN OLD.part IN ('study', 'event', 'raised_limits')
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
CREATE TRIGGER checksum_deleted BEFORE DELETE ON checksum WHEN OLD.part IN ('study', 'event', 'raised_limits')
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
CREATE TRIGGER checksum_replaced BEFORE INSERT ON checksum
    WHEN NEW.part IN ('study', 'event', 'raised_limits')
     AND EXISTS (SELECT 1 FROM checksum WHERE part = NEW.part AND row = NEW.row)
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
