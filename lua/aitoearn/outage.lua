--- What a batch does while its site is held or refuses connections: new ids wait, one of them probes the site.
-- The state is the batch's own (`batch.outage`).
-- @module aitoearn.outage

local errors = require "aitoearn.error"

local outage = {}

-- Between two probes of a site that refuses connections, in seconds: from the first, doubled, to the longest.
local FIRST_PROBE, LONGEST_PROBE = 0.1, 1

--- When an id stops waiting for its site: an outage may last as long as a call's deadline, a wait as long as itself.
local function patience(down, opts)
  return opts.ends_at or (down and opts.deadline and down.since + opts.deadline) or math.huge
end

--- Whether to hold an id back: its site asked for a pause, or refuses connections and somebody else is probing it.
-- @treturn aitoearn.Error|nil why the id ends here
function outage.admit(batch, child, site, id, opts)
  while not child:ended() do
    local down, now = batch.outage, batch.client.now()
    local left = site:look(now)
    local limit = patience(down, opts)
    if not left and not down then
      return nil
    elseif not left and now >= limit then
      return errors.new(down.err, { site = site.name, server = down.err.server, record_id = id, retryable = true })
    elseif not left and not down.prober then
      down.prober = child
      child:sleep(down.probe_delay)
      down.probe_delay = math.min(LONGEST_PROBE, down.probe_delay * 2)
      return nil
    end
    child:sleep(math.min(left or down.probe_delay, site.nap, math.max(limit - now, 0)))
    if left and batch.client.now() >= limit then
      return nil -- fetch.record says what is to be said of a hold
    end
  end
end

--- Takes note of what a fetch that brought no record tells about the site.
-- @treturn boolean whether the id has to be asked again: connections are refused, and not for too long yet
function outage.note(batch, child, err, opts)
  local down = batch.outage
  if down and down.prober == child then
    down.prober = nil
  end
  if err.kind ~= "connect" or opts.retry.max_attempts == 1 then
    batch.outage = nil
    return false
  end
  down = down or { since = batch.client.now(), probe_delay = FIRST_PROBE }
  batch.outage, down.err = down, err
  return batch.client.now() < patience(down, opts)
end

return outage
