--- A small window, and nothing that a machine without sound lacks.
-- luacheck: globals love
function love.conf(t)
  t.window.width, t.window.height = 200, 100
  t.modules.audio, t.modules.sound, t.modules.physics, t.modules.joystick = false, false, false, false
end
