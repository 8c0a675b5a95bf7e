-- What is done row by row, in the order in which it was handed in. A function that changes gets a new name, so that
-- hosts of two versions can run side by side.

-- Opens the transaction of a batch of outcomes: under the host's own epoch, and never the same batch twice.
CREATE FUNCTION hw_begin(own integer, number bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM hw_fence(own);
  INSERT INTO recorded VALUES(own, number);
  -- Rows are only added, so that a snapshot that is held open for long costs no walk over dead ones at the new end.
  IF number % 512 = 0 THEN
    DELETE FROM recorded WHERE epoch < own OR (epoch = own AND batch < number - 512);
  END IF;
END $$;

-- Of a destination's deliveries with that order key, where none is due, the one of the earliest event is from now on.
CREATE FUNCTION hw_advance(dest text, of_key bytea, OUT next_id bigint, OUT next_epoch integer) LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS(SELECT FROM waiting WHERE destination = dest AND order_key = of_key AND NOT behind) THEN
    RETURN;
  END IF;
  SELECT id, epoch INTO next_id, next_epoch FROM waiting
    WHERE destination = dest AND order_key = of_key AND behind ORDER BY id, epoch LIMIT 1;
  IF FOUND THEN
    UPDATE waiting SET behind = false WHERE id = next_id AND epoch = next_epoch AND destination = dest;
  END IF;
END $$;

-- A delivery that has ended waits again, in a new round.
CREATE FUNCTION hw_revive(ended delivery, at bigint, round integer, of_key bytea, is_behind boolean, content bytea)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM delivery WHERE id = ended.id AND epoch = ended.epoch AND destination = ended.destination;
  IF ended.first IS NOT NULL THEN
    INSERT INTO attempt VALUES(ended.id, ended.epoch, ended.destination, 1, ended.first) ON CONFLICT DO NOTHING;
  END IF;
  INSERT INTO waiting VALUES(ended.id, ended.epoch, ended.destination, at, round, ended.attempts, of_key, is_behind,
    true, content);
END $$;

-- A delivery of an outcome of routing: a new row, or a new round of the one that is there. Answers whether it is due,
-- and which other one came forward.
CREATE FUNCTION hw_deliver(i bigint, e integer, dest text, at bigint, round integer, made integer, of_key bytea,
  again boolean, content bytea,
  OUT is_head boolean, OUT next_id bigint, OUT next_epoch integer)
LANGUAGE plpgsql AS $$
DECLARE
  taken boolean := of_key IS NOT NULL AND EXISTS(SELECT FROM waiting
    WHERE destination = dest AND order_key = of_key AND (id, epoch) <> (i, e));
  old waiting;
  ended delivery;
  former bytea;
BEGIN
  -- A purge may have been first.
  IF NOT EXISTS(SELECT FROM event WHERE id = i AND epoch = e) THEN
    is_head := false;
    RETURN;
  END IF;
  SELECT * INTO old FROM waiting WHERE id = i AND epoch = e AND destination = dest;
  IF FOUND THEN
    taken := taken AND NOT (NOT old.behind AND old.order_key IS NOT DISTINCT FROM of_key);
    UPDATE waiting SET due = at, tries = round, order_key = of_key, behind = taken, replayed = true, payload = content
      WHERE id = i AND epoch = e AND destination = dest;
    former := old.order_key;
  ELSE
    SELECT * INTO ended FROM delivery WHERE id = i AND epoch = e AND destination = dest;
    IF FOUND THEN
      PERFORM hw_revive(ended, at, round, of_key, taken, content);
      former := ended.order_key;
    ELSE
      INSERT INTO waiting VALUES(i, e, dest, at, round, made, of_key, taken, again, content);
    END IF;
  END IF;
  is_head := NOT taken;
  IF former IS NOT NULL THEN
    SELECT a.next_id, a.next_epoch INTO next_id, next_epoch FROM hw_advance(dest, former) a;
  END IF;
END $$;

-- An attempt has ended: `outcome` 0 for another try at `at`, 1 delivered, 2 dead. One that ends after its delivery did
-- (two rounds overlapped) is kept, and success wins. Answers which delivery came forward.
CREATE FUNCTION hw_settle(i bigint, e integer, dest text, n bigint, content bytea, after smallint, at bigint,
  why text, ordered boolean, OUT next_id bigint, OUT next_epoch integer) LANGUAGE plpgsql AS $$
DECLARE
  old waiting;
  key bytea;
BEGIN
  SELECT * INTO old FROM waiting WHERE id = i AND epoch = e AND destination = dest;
  IF FOUND THEN
    key := old.order_key;
    IF after = 0 THEN
      UPDATE waiting SET due = at, tries = tries + 1, attempts = greatest(attempts, n)
        WHERE id = i AND epoch = e AND destination = dest;
    ELSE
      DELETE FROM waiting WHERE id = i AND epoch = e AND destination = dest;
      INSERT INTO delivery VALUES(i, e, dest, after, old.due, old.tries + 1, greatest(old.attempts, n), why, key,
        old.replayed, old.payload, CASE WHEN n = 1 AND old.attempts = 0 THEN content END);
      IF n = 1 AND old.attempts = 0 THEN
        content := NULL;
      END IF;
    END IF;
  ELSE
    UPDATE delivery SET attempts = greatest(attempts, n),
      cause = CASE WHEN after = 1 AND state = 2 THEN NULL ELSE cause END,
      state = CASE WHEN after = 1 AND state = 2 THEN 1 ELSE state END
      WHERE id = i AND epoch = e AND destination = dest RETURNING order_key INTO key;
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  IF content IS NOT NULL THEN
    INSERT INTO attempt VALUES(i, e, dest, n, content)
      ON CONFLICT (id, epoch, destination, number) DO UPDATE SET data = excluded.data;
  END IF;
  IF ordered AND after <> 0 AND key IS NOT NULL THEN
    SELECT a.next_id, a.next_epoch INTO next_id, next_epoch FROM hw_advance(dest, key) a;
  END IF;
END $$;

-- A delivery that waits ends as dead; one that has ended stays as it is.
CREATE FUNCTION hw_give_up(i bigint, e integer, dest text, why text, ordered boolean,
  OUT next_id bigint, OUT next_epoch integer) LANGUAGE plpgsql AS $$
DECLARE
  old waiting;
BEGIN
  DELETE FROM waiting WHERE id = i AND epoch = e AND destination = dest RETURNING * INTO old;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  INSERT INTO delivery VALUES(i, e, dest, 2, old.due, old.tries, old.attempts, why, old.order_key, old.replayed,
    old.payload, NULL);
  IF ordered AND old.order_key IS NOT NULL THEN
    SELECT a.next_id, a.next_epoch INTO next_id, next_epoch FROM hw_advance(dest, old.order_key) a;
  END IF;
END $$;

-- A person wants a delivery sent again, as it was recorded. Answers whether there is one, and whether it is due.
CREATE FUNCTION hw_replay(i bigint, e integer, dest text, at bigint, OUT is_there boolean, OUT is_head boolean)
LANGUAGE plpgsql AS $$
DECLARE
  old waiting;
  ended delivery;
  taken boolean;
BEGIN
  is_there := true;
  SELECT * INTO old FROM waiting WHERE id = i AND epoch = e AND destination = dest;
  IF FOUND THEN
    taken := old.behind AND old.order_key IS NOT NULL AND EXISTS(SELECT FROM waiting
      WHERE destination = dest AND order_key = old.order_key AND (id, epoch) <> (i, e));
    UPDATE waiting SET due = at, tries = 0, replayed = true, behind = taken
      WHERE id = i AND epoch = e AND destination = dest;
  ELSE
    SELECT * INTO ended FROM delivery WHERE id = i AND epoch = e AND destination = dest;
    is_there := FOUND;
    IF NOT FOUND THEN
      RETURN;
    END IF;
    taken := ended.order_key IS NOT NULL AND EXISTS(SELECT FROM waiting
      WHERE destination = dest AND order_key = ended.order_key AND (id, epoch) <> (i, e));
    PERFORM hw_revive(ended, at, 0, ended.order_key, taken, ended.payload);
  END IF;
  is_head := NOT taken;
END $$;

-- Makes the partitions of a day (days since 1970). Attached, not made in place: that locks out no reader.
CREATE FUNCTION hw_add_day(day bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
BEGIN
  PERFORM pg_advisory_xact_lock(1213682515, hashtext(current_schema()));
  FOREACH parent IN ARRAY ARRAY['event', 'outcome', 'delivery', 'attempt'] LOOP
    IF to_regclass(format('%I', parent || '_d' || day)) IS NULL THEN
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', parent || '_d' || day, parent);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, parent || '_d' || day,
        (day * 86400000) << 16, ((day + 1) * 86400000) << 16);
    END IF;
  END LOOP;
END $$;

-- Drops what is finished of a day. What is not is moved to new partitions of the day first.
CREATE FUNCTION hw_purge_day(day bigint, OUT gone bigint, OUT kept bigint, OUT bytes bigint) LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  old text;
  low bigint := (day * 86400000) << 16;
  high bigint := ((day + 1) * 86400000) << 16;
BEGIN
  LOCK TABLE ONLY event, ONLY outcome, ONLY delivery, ONLY attempt IN ACCESS EXCLUSIVE MODE;
  CREATE TEMP TABLE hw_kept ON COMMIT DROP AS
    SELECT e.id, e.epoch FROM event e LEFT JOIN outcome o ON o.id = e.id AND o.epoch = e.epoch
      WHERE e.id >= low AND e.id < high AND coalesce(o.state, 0) = 0
    UNION SELECT w.id, w.epoch FROM waiting w WHERE w.id >= low AND w.id < high;
  SELECT count(*) INTO kept FROM hw_kept;
  SELECT count(*) - kept INTO gone FROM event WHERE id >= low AND id < high;
  bytes := 0;
  FOREACH parent IN ARRAY ARRAY['event', 'outcome', 'delivery', 'attempt'] LOOP
    old := parent || '_d' || day;
    CONTINUE WHEN to_regclass(format('%I', old)) IS NULL OR (gone = 0 AND kept > 0);
    bytes := bytes + pg_total_relation_size(format('%I', old)::regclass);
    EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, old);
    IF kept > 0 THEN
      EXECUTE format('ALTER TABLE %I RENAME TO %I', old, old || '_old');
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', old, parent);
      EXECUTE format('INSERT INTO %I SELECT t.* FROM %I t JOIN pg_temp.hw_kept k ON k.id = t.id AND k.epoch = t.epoch',
        old, old || '_old');
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent, old, low, high);
      bytes := bytes - pg_total_relation_size(format('%I', old)::regclass);
      old := old || '_old';
    END IF;
    EXECUTE format('DROP TABLE %I', old);
  END LOOP;
  bytes := greatest(bytes, 0);
END $$;

-- Deletes finished events between two row keys, `most` at the most. Answers how many, and their bytes.
CREATE FUNCTION hw_purge_rows(low bigint, high bigint, most integer, OUT gone bigint, OUT bytes bigint)
LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE hw_gone ON COMMIT DROP AS
    SELECT e.id, e.epoch FROM event e JOIN outcome o ON o.id = e.id AND o.epoch = e.epoch
      WHERE e.id >= low AND e.id < high AND o.state <> 0
        AND NOT EXISTS(SELECT FROM waiting w WHERE w.id = e.id AND w.epoch = e.epoch)
      LIMIT most;
  DELETE FROM attempt t USING pg_temp.hw_gone g WHERE t.id = g.id AND t.epoch = g.epoch;
  DELETE FROM delivery t USING pg_temp.hw_gone g WHERE t.id = g.id AND t.epoch = g.epoch;
  DELETE FROM outcome t USING pg_temp.hw_gone g WHERE t.id = g.id AND t.epoch = g.epoch;
  WITH dropped AS (
    DELETE FROM event t USING pg_temp.hw_gone g WHERE t.id = g.id AND t.epoch = g.epoch
      RETURNING octet_length(t.body) + octet_length(t.headers) AS size)
    SELECT count(*), coalesce(sum(size), 0)::bigint INTO gone, bytes FROM dropped;
END $$;
