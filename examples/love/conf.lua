--- Settings of the scene.
function love.conf(t)
  t.identity = "aitoearn-records"
  t.window.title = "Records going live"
  t.window.width, t.window.height = 960, 540
  t.modules.audio, t.modules.sound, t.modules.physics, t.modules.joystick = false, false, false, false
end
