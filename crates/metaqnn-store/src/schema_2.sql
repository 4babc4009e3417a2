-- From schema 1 to 2: what ends a study can be raised and is then stored. The statements are those of schema.sql.

-- What ends the study where a later run raised it above what the settings say: the last row holds. Rows are only added.
CREATE TABLE raised_limits (
    raised         INTEGER PRIMARY KEY,
    before_event   INTEGER NOT NULL,    -- the number of the next event when it was raised
    models         INTEGER NOT NULL,    -- unique models to train; 0: until the budget is over
    budget_seconds ANY NOT NULL CHECK (typeof(budget_seconds) = 'real') -- of all runs; 0: until the models are trained
) STRICT;

CREATE TRIGGER raised_limits_changed BEFORE UPDATE ON raised_limits
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;
CREATE TRIGGER raised_limits_deleted BEFORE DELETE ON raised_limits
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;
CREATE TRIGGER raised_limits_replaced BEFORE INSERT ON raised_limits
    WHEN EXISTS (SELECT 1 FROM raised_limits WHERE raised = NEW.raised)
    BEGIN SELECT RAISE(ABORT, 'what a run was told never changes'); END;
