-- Why: a server that remembers a token must hear at once that it has ended, whoever ended it and by whatever statement.

create function password_grant.announce_ended_tokens() returns trigger
language plpgsql as $$
begin
  if tg_op = 'TRUNCATE' then
    perform pg_notify('password_grant', 'tokens');
  else
    perform pg_notify('password_grant', 'token ' || old.id);
  end if;
  return null;
end
$$;
comment on function password_grant.announce_ended_tokens() is
  'announces on the channel password_grant that what is remembered of a token, or of all, is over';

create trigger tokens_ended after update or delete on password_grant.tokens
for each row execute function password_grant.announce_ended_tokens();

create trigger tokens_emptied after truncate on password_grant.tokens
for each statement execute function password_grant.announce_ended_tokens();
