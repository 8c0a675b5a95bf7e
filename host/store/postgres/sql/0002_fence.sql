-- What protects the rows from a host whose time is over. A function that changes gets a new name, so that hosts of two
-- versions can run side by side.

-- Fails where the host's epoch is over: another host has taken the database since. Who takes over holds the same lock
-- alone, so all that was written under an epoch is committed before the next one begins.
CREATE FUNCTION hw_fence(own integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1213682514, hashtext(current_schema()));
  PERFORM 1 FROM host WHERE epoch = own;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'epoch % is over', own USING ERRCODE = 'HW001';
  END IF;
END $$;

