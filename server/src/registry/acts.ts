export type MemberRole = 'owner' | 'adult' | 'guest'

/**
 * view: live state and timeline. control: commands. configure: names, claims, guests. manage: members, release and
 * transfer. history: what a tenure left after its end, and the household's members and log.
 */
export type Act = 'view' | 'control' | 'configure' | 'manage' | 'history'
