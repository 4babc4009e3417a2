-- From schema 9 to 10: how the data are read, and what each image is for. The statements are those of schema.sql.

-- How the data are read, and what each of their images is for; one row. Studies begun with schema 9 or before have none: their data are read, and
-- their splits drawn, as they were then.
CREATE TABLE IF NOT EXISTS data_reading (
    study        INTEGER PRIMARY KEY REFERENCES study,
    reading      TEXT NOT NULL,     -- JSON
    image_splits BLOB NOT NULL      -- 21 bytes for each content and split: 16 of a hash, 0 train, 1 valid or 2 test, how many, little-endian
) STRICT;

CREATE TRIGGER IF NOT EXISTS data_reading_changed BEFORE UPDATE ON data_reading
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER IF NOT EXISTS data_reading_deleted BEFORE DELETE ON data_reading
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
CREATE TRIGGER IF NOT EXISTS data_reading_replaced BEFORE INSERT ON data_reading WHEN EXISTS (SELECT 1 FROM data_reading)
    BEGIN SELECT RAISE(ABORT, 'what a study says of itself never changes'); END;
