-- SPDX-License-Identifier: MIT
-- pause.lua - workers take no jobs (ARGV: 1), or take them again (0). Returns 1.

if ARGV[1] == '1' then
    redis.call('SET', P .. 'paused', '1')
else
    redis.call('DEL', P .. 'paused')
    wake()
end
return 1
