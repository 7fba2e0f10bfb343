-- How far the log has been read that fills the queue, in the words of who fills it: '' for nowhere.
ALTER TABLE streams RENAME COLUMN cursor TO cursor_number;
ALTER TABLE streams ADD COLUMN cursor TEXT NOT NULL DEFAULT '';
UPDATE streams SET cursor = CAST(cursor_number AS TEXT) WHERE cursor_number > 0;
ALTER TABLE streams DROP COLUMN cursor_number;
-- The checksum was over the number.
UPDATE streams SET checksum = 0;
