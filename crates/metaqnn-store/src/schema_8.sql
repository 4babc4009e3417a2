-- From schema 7 to 8: checksums of what is stored. The statements are those of schema.sql; the program fills the table.

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

CREATE TRIGGER checksum_changed BEFORE UPDATE ON checksum WHEN OLD.part IN ('study', 'event', 'raised_limits')
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
CREATE TRIGGER checksum_deleted BEFORE DELETE ON checksum WHEN OLD.part IN ('study', 'event', 'raised_limits')
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
CREATE TRIGGER checksum_replaced BEFORE INSERT ON checksum
    WHEN NEW.part IN ('study', 'event', 'raised_limits')
     AND EXISTS (SELECT 1 FROM checksum WHERE part = NEW.part AND row = NEW.row)
    BEGIN SELECT RAISE(ABORT, 'what is stored never changes'); END;
