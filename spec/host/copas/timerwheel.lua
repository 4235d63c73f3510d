--- As much of lua-timerwheel as copas 4 uses, for systems that ship copas without it.
local M = {}

function M.new(options)
  local now, timers, count, last = options.now, {}, 0, 0
  local wheel = {}

  function wheel.set(_, seconds, callback, argument)
    last, count = last + 1, count + 1
    timers[last] = { at = now() + seconds, callback = callback, argument = argument }
    return last
  end

  function wheel.cancel(_, id)
    if timers[id] then
      timers[id], count = nil, count - 1
      return true
    end
    return false
  end

  function wheel.count()
    return count
  end

  function wheel.step()
    local due = {}
    for id, timer in pairs(timers) do
      if timer.at <= now() then
        due[#due + 1] = id
      end
    end
    for _, id in ipairs(due) do
      local timer = timers[id]
      if timer then
        wheel:cancel(id)
        timer.callback(timer.argument)
      end
    end
  end

  return wheel
end

return M
