-- The sample land register on PostgreSQL: written at home, replayed abroad by streaming replication. A standby answers
-- reads; `saatkond` asks it how old it is ([client.copy] in server.toml). On the primary: wal_sender_timeout = '2s'.
CREATE TABLE titles (number int PRIMARY KEY, owner text NOT NULL);
INSERT INTO titles SELECT number, 'Republic of Demo' FROM generate_series(1001, 1032) AS number;

-- What took effect, in order, under the X-Road-Id that brought it and the X-Road-Cont-Token under which it was made.
CREATE TABLE effects (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message text NOT NULL,
    number int NOT NULL REFERENCES titles,
    owner text NOT NULL,
    token bigint NOT NULL
);

-- The highest token that was seen: a site that was deposed changes nothing any more.
CREATE TABLE fence (token bigint NOT NULL);
INSERT INTO fence VALUES (0);

CREATE FUNCTION transfer(title int, new_owner text, message_id text, made_under bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE place bigint;
BEGIN
    UPDATE fence SET token = made_under WHERE token <= made_under;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'token % is of a site that was deposed', made_under USING ERRCODE = 'serialization_failure';
    END IF;
    UPDATE titles SET owner = new_owner WHERE number = title;
    INSERT INTO effects (message, number, owner, token) VALUES (message_id, title, new_owner, made_under)
    RETURNING position INTO place;
    RETURN place;
END $$;
